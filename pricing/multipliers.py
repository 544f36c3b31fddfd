"""What the prices of a provider and of a model are multiplied by at a moment, read from the markups.

Both together, in whole basis points, halves to the even one, and never less than one. Publishing asks here; rating never
does, since each version carries its multiplier.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

from pricing.models import Markup
from pricing.rating import BASIS_POINTS, multiplied

type _Dated = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class Multipliers:
    """All markups there are, each list in the order of its moments."""

    by_provider: Mapping[str, Sequence[_Dated]]
    by_model: Mapping[int, Sequence[_Dated]]

    @classmethod
    def load(cls) -> Self:
        by_provider: dict[str, list[_Dated]] = {}
        by_model: dict[int, list[_Dated]] = {}
        for row in Markup.objects.order_by("effective_from"):
            dated = (row.effective_from, row.multiplier_bp)
            if row.model_id is None:
                by_provider.setdefault(row.provider_code, []).append(dated)
            else:
                by_model.setdefault(row.model_id, []).append(dated)
        return cls(by_provider, by_model)

    def at(self, moment: datetime, *, provider_code: str, model_id: int | None) -> int:
        """Basis points for a version that is in force from `moment` on. A model that is not stored yet has no id."""
        of_provider, of_model = (_at(moment, dated) for dated in self._of(provider_code, model_id))
        return multiplied(of_provider, of_model)

    def moments(self, *, after: datetime, provider_code: str, model_id: int | None) -> list[datetime]:
        """When one of them changes after that."""
        both = self._of(provider_code, model_id)
        return sorted({moment for dated in both for moment, _ in dated if moment > after})

    def _of(self, provider_code: str, model_id: int | None) -> tuple[Sequence[_Dated], Sequence[_Dated]]:
        of_model = () if model_id is None else self.by_model.get(model_id, ())
        return self.by_provider.get(provider_code, ()), of_model


def _at(moment: datetime, dated: Sequence[_Dated]) -> int:
    begun = [multiplier_bp for since, multiplier_bp in dated if since <= moment]
    return begun[-1] if begun else BASIS_POINTS
