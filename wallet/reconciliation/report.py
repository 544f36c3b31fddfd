"""What a run finds: kept in its row as it goes, so that a run that was killed has lost none of it."""

from dataclasses import dataclass

from wallet.models import Reconciliation
from wallet.reconciliation import accepting

# A table that is wrong altogether should not make a row of many megabytes; the count is kept.
MOST_SENTENCES = 1000


@dataclass(slots=True)
class Report:
    """The findings of one run. Sentences name what they are about by its id."""

    run: Reconciliation

    def count(self, kind: str, number: int) -> None:
        self.run.compared[kind] = self.run.compared.get(kind, 0) + number

    def repaired(self, sentence: str) -> None:
        _add(self.run.repaired, sentence)
        self.run.save(update_fields=["repaired"])

    def differs(self, subject: str, sentence: str) -> None:
        """Once for each subject: a payment in no wallet is one difference, not one more at its charge.

        What staff accepted, in exactly these words, is listed apart, and hides nothing else about the same.
        """
        if sentence not in self.run.accepted and not any(subject in told for told in self.run.differences):
            self.remains(sentence, is_accepted=accepting.note(subject, sentence))

    def remains(self, sentence: str, *, is_accepted: bool) -> None:
        """The same of what follows from other differences, and is accepted where they are."""
        _add(self.run.accepted if is_accepted else self.run.differences, sentence)
        self.run.save(update_fields=["accepted", "differences"])

    def explained(self, subject: str) -> None:
        """What was said of it before has turned out to be no difference."""
        self.run.differences = [told for told in self.run.differences if subject not in told]
        self.run.accepted = [told for told in self.run.accepted if subject not in told]
        self.run.save(update_fields=["accepted", "differences"])


def _add(sentences: list[str], sentence: str) -> None:
    if len(sentences) < MOST_SENTENCES:
        sentences.append(sentence)
    elif len(sentences) == MOST_SENTENCES:
        sentences.append("There is more, which is not listed.")
