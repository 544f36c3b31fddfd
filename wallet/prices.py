"""What staff do to prices: markups, customer groups and their rates, and which wallets belong to a group.

Who may, and that it happens once, with its reason; what follows is up to pricing/. Invariants: the audit entry and the
effect are one transaction; nobody's price rises without notice by being moved between groups, where people are told of
rises before, and nobody moves their own wallet, nor changes the rate that it pays. The only module that writes
`customer_group`. Locks the wallet's row.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from accounts import audit
from accounts.audit import AlreadySent, Instruction, Refused
from accounts.models import AuditEntry
from pricing import groups, markups
from pricing.models import CustomerGroup, GroupRate, Model
from pricing.publishing import CHANGE_NOTICE, PublishingError, rise_notice
from wallet import leaving
from wallet.models import Wallet

PERMISSION = "pricing.act_on_prices"
CREATED = "pricing.create_group"


def mark_up_model(by: Instruction, model: Model, multiplier_bp: int, effective_from: datetime) -> None:
    """A markup of this model. Once per request id. Raises Refused, or PermissionDenied."""
    _do(
        by,
        "pricing.mark_up_model",
        model,
        _dated(multiplier_bp, effective_from),
        lambda: markups.of_model(model, multiplier_bp, effective_from=effective_from),
    )


def mark_up_provider(by: Instruction, model: Model, multiplier_bp: int, effective_from: datetime) -> None:
    """A markup of the provider of this model, and so of all its models. As `mark_up_model`."""
    code = model.provider_code
    _do(
        by,
        "pricing.mark_up_provider",
        model,
        {"provider": code, **_dated(multiplier_bp, effective_from)},
        lambda: markups.of_provider(code, multiplier_bp, effective_from=effective_from),
    )


def create_group(by: Instruction, name: str, multiplier_bp: int) -> CustomerGroup:
    """A group without members. The same instruction again returns the same one. Raises Refused, or PermissionDenied."""
    audit.allow(by.actor, PERMISSION)
    details: dict[str, str | int | None] = {"name": name.strip(), "multiplier_bp": multiplier_bp}
    earlier = AuditEntry.objects.filter(request_id=by.request_id).first()
    if earlier is not None:
        if (earlier.actor_id, earlier.action, earlier.details) != (by.actor.pk, CREATED, details):
            raise AlreadySent(
                "This form was sent before with other content. Open it again to do something else."
            )
        return CustomerGroup.objects.get(pk=earlier.target_id)
    try:
        with transaction.atomic():
            # The entry names the group, which has an id only then; a second sender is refused by the name.
            group = groups.create(name, multiplier_bp)
            audit.record(by, CREATED, group, details)
    except PublishingError as error:
        raise Refused(str(error)) from error
    return group


def change_rate(by: Instruction, group: CustomerGroup, multiplier_bp: int, effective_from: datetime) -> None:
    """What the members of the group pay from then on. Once per request id.

    Raises Refused, also for who owns a wallet in it; or PermissionDenied.
    """

    def change() -> None:
        if Wallet.objects.filter(owner=by.actor, customer_group=group).exists():
            raise Refused("Your own wallet is in it, so somebody else has to do it.")
        groups.change_rate(group, multiplier_bp, effective_from=effective_from)

    _do(by, "pricing.change_rate", group, _dated(multiplier_bp, effective_from), change)


def join(by: Instruction, wallet: Wallet, group: CustomerGroup) -> None:
    """Put the wallet into the group, out of any other, for calls that start from now on.

    One that started before pays what it would have; of two moves within the life of one call, as before the second one.

    Once per request id. Raises Refused where it would pay more without notice, for who owns it and where it is in there
    already; or PermissionDenied.
    """
    _move(by, wallet, group)


def leave(by: Instruction, wallet: Wallet) -> None:
    """Take the wallet out of its group, so that it pays the list's prices. As `join`."""
    _move(by, wallet, None)


def _move(by: Instruction, wallet: Wallet, group: CustomerGroup | None) -> None:
    action = "wallet.leave_group" if group is None else "wallet.join_group"
    details = {"group": None if group is None else group.pk}
    _do(by, action, wallet, details, lambda: _write(by, wallet, group))


def _write(by: Instruction, wallet: Wallet, group: CustomerGroup | None) -> None:
    found = Wallet.objects.select_for_update(no_key=True, of=("self",)).get(pk=wallet.pk)
    if found.owner_id == by.actor.pk:
        raise Refused("It is your own wallet, so somebody else has to do it.")
    if found.customer_group == group:
        raise Refused("It is in no group." if group is None else f"It is in {group} already.")
    if group is not None:
        leaving.check_open(found)
    _refuse_rise(found.customer_group, group)
    found.customer_group, found.group_before, found.group_since = group, found.customer_group, timezone.now()
    found.save(update_fields=["customer_group", "group_before", "group_since"])


def _refuse_rise(before: CustomerGroup | None, after: CustomerGroup | None) -> None:
    """Whoever moves was told of nothing that the other group's members know."""
    now, notice = timezone.now(), rise_notice()
    if notice <= CHANGE_NOTICE:
        return
    coming = GroupRate.objects.filter(group__in=[group for group in (before, after) if group])
    soon = coming.filter(effective_from__gt=now, effective_from__lt=now + notice)
    moments = [now, *soon.values_list("effective_from", flat=True)]
    if any(groups.multiplier_at(after, at) > groups.multiplier_at(before, at) for at in moments):
        raise Refused(
            "Its prices would rise sooner than people are told of it. Move it to a group that pays as much as it pays"
            " now, and let that group's rate rise at a moment of its own."
        )


def _do(
    by: Instruction,
    action: str,
    target: Model | CustomerGroup | Wallet,
    details: Mapping[str, str | int | None],
    work: Callable[[], object],
) -> None:
    audit.allow(by.actor, PERMISSION)
    with transaction.atomic():
        if audit.record(by, action, target, details):
            try:
                work()
            except PublishingError as error:
                raise Refused(str(error)) from error


def _dated(multiplier_bp: int, effective_from: datetime) -> dict[str, str | int | None]:
    return {"multiplier_bp": multiplier_bp, "effective_from": effective_from.isoformat()}
