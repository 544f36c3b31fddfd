"""What a key may do, in words, for its owner's page and for staff."""

from datetime import UTC, datetime

from django.template.defaultfilters import pluralize

from pricing.models import Model
from pricing.money import usd
from tokens.models import ApiKey

Kind, Period = ApiKey.Kind, ApiKey.Period

DOES = {
    Kind.INFERENCE: "Calls models, and asks for balance and usage",
    Kind.QUERY: "Asks for balance and usage; never calls a model",
    Kind.ACCOUNT: "Reads the account by the account API; never calls a model",
}


def of(key: ApiKey) -> list[tuple[str, str]]:
    """Pairs of what it is about and what holds. Times are UTC."""
    kind = Kind(key.kind)
    told = [("May", DOES[kind]), ("Until", "it was revoked" if key.is_revoked else _until(key.expires_at))]
    if kind != Kind.INFERENCE:
        return told
    return [
        *told,
        ("Models", _models(key)),
        ("Calls from", ", ".join(key.networks) if key.networks is not None else "everywhere"),
        ("Spends at most", ", ".join(_limits(key)) or "what is in the wallet"),
        ("At a time", ", ".join(_paces(key)) or "as much as it likes"),
    ]


def in_short(key: ApiKey) -> list[str]:
    """Only what binds, without names, for a list of many keys."""
    counted = [
        (key.model_ids, "model"),
        (key.networks, "address range"),
    ]
    rules = [*_limits(key), *_paces(key)]
    rules += [f"{len(found)} {what}{pluralize(len(found))}" for found, what in counted if found is not None]
    return [*rules, f"until {_until(key.expires_at)}"] if key.expires_at else rules


def _until(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if at else "it is revoked"


def _models(key: ApiKey) -> str:
    if key.model_ids is None:
        return "every one, new ones too"
    names = Model.objects.filter(pk__in=key.model_ids).order_by("name").values_list("name", flat=True)
    return ", ".join(names) or "none that exists"


def _limits(key: ApiKey) -> list[str]:
    limits = []
    if key.limit_nanousd is not None:
        limits.append(f"{usd(key.limit_nanousd)} over its whole life")
    if key.period_limit_nanousd is not None:
        limits.append(f"{usd(key.period_limit_nanousd)} {Period(key.period).label}")
    return limits


def _paces(key: ApiKey) -> list[str]:
    paces = [
        (key.requests_per_minute, "call{s} a minute"),
        (key.tokens_per_minute, "LLM token{s} a minute"),
        (key.calls_in_flight, "call{s} at once"),
    ]
    return [f"{number:,} {what.format(s=pluralize(number))}" for number, what in paces if number is not None]
