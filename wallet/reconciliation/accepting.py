"""What staff accept as it stands: other business on the same Stripe account, say. Owns wallet_difference; moves no money.

Accepted is a sentence about an object. Another amount is another sentence, and alarms again.
"""

from datetime import datetime
from uuid import UUID, uuid5

from django.db.models.functions import Now
from django.utils import timezone

from accounts import audit
from accounts.audit import Instruction, Refused
from wallet.acts import PERMISSION
from wallet.models import Difference
from wallet.transactions import again_if_lost

DIFFERENCES = UUID("5b0a8c4e-63a5-4d0b-9d36-0c7a5a1f1e42")


def note(name: str, sentence: str) -> bool:
    """Keep what a run says about an object; whether staff accepted just that."""
    key = uuid5(DIFFERENCES, f"{name} {sentence}")
    new = Difference(id=key, name=name, sentence=sentence, seen_at=Now())
    Difference.objects.bulk_create(
        [new], update_conflicts=True, unique_fields=["id"], update_fields=["seen_at"]
    )
    return Difference.objects.filter(pk=key, accepted_at__isnull=False).exists()


def names_accepted(since: datetime) -> set[str]:
    """What was seen since then and is accepted."""
    found = Difference.objects.filter(seen_at__gte=since, accepted_at__isnull=False)
    return set(found.order_by().values_list("name", flat=True))


def accept(by: Instruction, difference: Difference) -> Difference:
    """It alarms no more from the next run on, as long as it is told in the same words.

    The same instruction again changes nothing. Raises PermissionDenied, and Refused where it is accepted already.
    """
    return _decide(by, difference, is_accepted=True)


def reopen(by: Instruction, difference: Difference) -> Difference:
    """It alarms again. Otherwise as `accept`."""
    return _decide(by, difference, is_accepted=False)


def _decide(by: Instruction, difference: Difference, *, is_accepted: bool) -> Difference:
    audit.allow(by.actor, PERMISSION)
    action = "wallet.accept_difference" if is_accepted else "wallet.reopen_difference"

    def work() -> Difference:
        is_new = audit.record(by, action, difference, {"about": difference.name})
        found = Difference.objects.select_for_update(of=("self",)).get(pk=difference.pk)
        if not is_new:
            return found
        if is_accepted == (found.accepted_at is not None):
            raise Refused(
                f"{found.accepted_by} has accepted it already." if is_accepted else "It is not accepted."
            )
        found.accepted_by = by.actor if is_accepted else None
        found.accepted_at = timezone.now() if is_accepted else None
        found.save(update_fields=["accepted_by", "accepted_at"])
        return found

    return again_if_lost(work)
