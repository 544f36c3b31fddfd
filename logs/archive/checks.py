"""Whether archived months are what was sealed: the bytes of their files, and that the calls in them add up to the seals."""

from collections.abc import Iterator

import pyarrow.compute as pc

from logs.archive import Month, Unreadable, files, months
from logs.models import ArchivedMonth, SealedUsage

type Key = tuple[int, int, int]
"""Wallet, key and model."""
type Sums = tuple[int, int, int, int, int]
"""Calls, failed ones, nano-dollars charged, those that given credit paid, and of the dearest call."""

AFTER_ALL = 2**63 - 1


def problems() -> list[str]:
    """What is wrong, a sentence each. Reads every file; holds some thousand calls at a time."""
    return [problem for month in months() for problem in _problems_of(month)]


def _problems_of(month: Month) -> Iterator[str]:
    name = f"{month.first_day:%Y-%m}"
    try:
        if files.digest(month.path) != bytes(ArchivedMonth.objects.get(pk=month.first_day).digest):
            yield f"{name}: {month.path.name} is not the file that was sealed"
        for wallet_id in _other_wallets(month):
            yield f"{name}: wallet {wallet_id} has other calls in {month.path.name} than were sealed"
    except Unreadable as error:
        yield f"{name}: {error}"


def _other_wallets(month: Month) -> Iterator[int]:
    """Wallets whose calls in the file are not what was sealed. The file is in the order of wallets, so one by one."""
    sums: dict[Key, Sums] = {}
    compared = 0
    for group in files.groups_of(month.path):
        for key, more in _sums(group):
            sums[key] = _added(sums[key], more) if key in sums else more
        last = group["wallet_id"][-1].as_py()
        yield from _differences(month, sums, compared, last)
        sums, compared = {key: one for key, one in sums.items() if key[0] >= last}, last
    yield from _differences(month, sums, compared, AFTER_ALL)


def _differences(month: Month, sums: dict[Key, Sums], lower: int, upper: int) -> list[int]:
    """Of the wallets from `lower` to before `upper`."""
    found = SealedUsage.objects.filter(month=month.first_day, wallet_id__gte=lower, wallet_id__lt=upper)
    sealed = {
        row[:3]: row[3:]
        for row in found.values_list(
            "wallet_id", "key_id", "model_id",
            "calls", "failed", "charged_nanousd", "promotional_nanousd", "largest_nanousd",
        )
    }  # fmt: skip
    read = {key: one for key, one in sums.items() if lower <= key[0] < upper}
    return sorted({key[0] for key in sealed.keys() | read.keys() if sealed.get(key) != read.get(key)})


def _sums(group: files.Table) -> Iterator[tuple[Key, Sums]]:
    failed = pc.cast(pc.equal(group["status"], "failed"), "int64")
    found = (
        group.append_column("failed", failed)
        .group_by(["wallet_id", "key_id", "model_id"])
        .aggregate(
            [
                ("id", "count"),
                ("failed", "sum"),
                ("charged_nanousd", "sum"),
                ("promotional_nanousd", "sum"),
                ("charged_nanousd", "max"),
            ]
        )
    )
    for row in zip(*(column.to_pylist() for column in found.columns), strict=True):
        yield row[:3], row[3:]


def _added(one: Sums, other: Sums) -> Sums:
    first = tuple(a + b for a, b in zip(one[:4], other[:4], strict=True))
    return (*first, max(one[4], other[4]))  # type: ignore[return-value]
