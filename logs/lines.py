"""Rows of logs_call and logs_calldetails as lines of COPY's text format, which is the fastest way in.

A line of a call comes in three parts, in the order of CALLS: only what it is charged to has to wait for the wallets' locks.
"""

from logs.reports import CallReport
from pricing.rating import PriceTable
from wallet.transactions import cell

CALLS = (
    "COPY logs_call (id, key_id, model_id, price_version_id, status, started_at, usage, charged_nanousd, wallet_id,"
    " promotional_nanousd, promotional_transfer_id, paid_transfer_id, held_nanousd, balance_after_nanousd, group_rate_id,"
    " stream, latency_ms, first_token_ms, endpoint, upstream_id, upstream_cost_nanousd, is_estimated) FROM STDIN"
)
DETAILS = "COPY logs_calldetails (call_id, wallet_id, client_ip, error) FROM STDIN"


def start(report: CallReport, table: PriceTable, *, model_id: int, charged_nanousd: int) -> str:
    """What was called and used, up to the charge."""
    # None of this is free text, so nothing needs to be escaped.
    usage = ",".join([f'"{unit}":{quantity}' for unit, quantity in report.usage.items()])
    return (
        f"{report.call_id}\t{report.key_id}\t{model_id}\t{table.version_id}\t{report.status}\t"
        f"{report.started_at}\t{{{usage}}}\t{charged_nanousd}\t"
    )


def of_charge(
    *,
    wallet_id: int,
    promotional_nanousd: int,
    promotional_transfer_id: int | None,
    paid_transfer_id: int | None,
    held_nanousd: int | None,
    balance_after_nanousd: int,
    group_rate_id: int | None,
) -> str:
    """Who paid for it, with what, and at whose rate."""
    return (
        f"{wallet_id}\t{promotional_nanousd}\t{cell(promotional_transfer_id)}\t{cell(paid_transfer_id)}\t"
        f"{cell(held_nanousd)}\t{balance_after_nanousd}\t{cell(group_rate_id)}\t"
    )


def end(report: CallReport) -> str:
    """How it went."""
    return (
        f"{cell(report.stream)}\t{cell(report.latency_ms)}\t{cell(report.first_token_ms)}\t{cell(report.endpoint)}\t"
        f"{cell(report.upstream_id)}\t{cell(report.upstream_cost_nanousd)}\t{report.is_estimated}\n"
    )


def of_details(report: CallReport, wallet_id: int) -> str:
    """What may identify a person."""
    return f"{report.call_id}\t{wallet_id}\t{cell(report.client_ip)}\t{cell(report.error)}\n"
