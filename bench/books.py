"""Proof after a run that the books balance and hold exactly what the clients were told."""

import time
from collections.abc import Mapping

from bench.results import Books
from wallet import invariants
from wallet.transactions import rows

TOTALS = """
    SELECT (SELECT count(*) FROM logs_call),
        (SELECT coalesce(sum(charged_nanousd), 0)::bigint FROM logs_call),
        (SELECT coalesce(sum(amount_nanousd), 0)::bigint FROM wallet_transfer WHERE code = 'usage'),
        (SELECT coalesce(sum(promotional_nanousd + paid_nanousd), 0)::bigint FROM wallet_funds)
"""


def verify(*, granted_nanousd: int, acknowledged: int, refused: Mapping[str, int]) -> Books:
    """Compare the sums with each other and with what was acknowledged, and run every invariant."""
    calls, charged, transferred, left = rows(TOTALS)[0]
    problems = [f"{number} requests were answered {answer}" for answer, number in refused.items()]
    if calls != acknowledged:
        problems.append(f"{acknowledged} calls were acknowledged, {calls} are in the books")
    if not charged == transferred == granted_nanousd - left:
        problems.append(
            f"calls were charged {charged}, transfers took {transferred}, balances fell by {granted_nanousd - left}"
            " nano-dollars"
        )
    began_at = time.perf_counter()
    findings = invariants.check()
    seconds = time.perf_counter() - began_at
    problems += [f"{finding.invariant.name}: {', '.join(finding.ids)}" for finding in findings]
    return Books(calls, charged, len(invariants.every()), seconds, tuple(problems))
