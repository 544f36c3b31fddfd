"""What recording and checking cost as the books grow: fills them with calls of the last 30 days, as batches would have.

The rows are written by SQL, chunk by chunk in the order of their time, with all that belongs to them: a transfer for each
wallet of a batch of 500 (which moves the balances), daily usage. So every invariant holds over them.
"""

import time
from collections.abc import Callable, Iterator

import psycopg
from psycopg.types.json import Jsonb

from bench import books
from bench.measures import BATCH, BATCH_CLIENTS, Lab, Recording
from bench.results import Books, Spread, Stage
from cometsite.quickstart import commands
from pricing import rating
from wallet import ledger, seals

SMALLEST = 10_000
STEP = 10
CHUNK = 200_000
DAYS = 30


def stages(
    lab: Lab, calls: int, rounds: int, seconds: float, say: Callable[[str], None]
) -> Iterator[tuple[Stage, Books]]:
    """Fill, record, check; ten times as much each time. At the end the days are sealed and everything is checked again."""
    recording = Recording(lab, "growth", lab.population.keys, BATCH, BATCH_CLIENTS, 20_000)
    with psycopg.connect(lab.machine.cluster.url(commands.DATABASE), autocommit=True) as connection:
        history = History(connection, lab, calls)
        for size in _sizes(lab.accepted, calls):
            say(f"Filling the books up to {size:,} calls")
            history.fill(size - lab.accepted)
            say("Recording")
            speeds = [recording(seconds)["growth"].per_second for _ in range(rounds)]
            is_last = size == calls
            seal_seconds = _sealed_in(say) if is_last else None
            say("Checking")
            checked = books.verify(
                granted_nanousd=lab.population.granted_nanousd,
                acknowledged=lab.accepted + history.calls,
                refused=lab.refused,
            )
            stage = Stage(size, Spread.of(speeds), checked.seconds, history.megabytes(), seal_seconds)
            yield stage, checked


def _sizes(present: int, calls: int) -> list[int]:
    """Ten times as many each time, from what is there on."""
    sizes = [size for size in (SMALLEST * STEP**power for power in range(12)) if present < size < calls]
    return [*sizes, calls]


def _sealed_in(say: Callable[[str], None]) -> float:
    say("Sealing the days")
    began_at = time.perf_counter()
    seals.seal_closed_days()
    return time.perf_counter() - began_at


class History:
    """Calls of the past, up to `total` of them at regular distances of time."""

    def __init__(self, connection: "psycopg.Connection[tuple[int, ...]]", lab: Lab, total: int) -> None:
        self.connection = connection
        self.total = total
        self.calls = 0
        connection.execute("SET work_mem = '64MB'")
        self._copy_population(lab)

    def _copy_population(self, lab: Lab) -> None:
        self.connection.execute(
            "CREATE TEMP TABLE bench_key AS SELECT row_number() OVER () AS number, k.id, k.wallet_id, a.id AS account_id"
            " FROM tokens_apikey k JOIN wallet_account a ON a.wallet_id = k.wallet_id AND a.kind = 'promotional'"
        )
        self.connection.execute(
            "CREATE TEMP TABLE bench_usage (number int, model_id bigint, version_id bigint, usage jsonb, charged bigint,"
            " input_tokens bigint, cached_input_tokens bigint, output_tokens bigint)"
        )
        drawn = [(model, usage) for model in lab.population.models for usage in model.usages]
        for number, (model, usage) in enumerate(drawn, 1):
            used = usage.quantities
            self.connection.execute(
                "INSERT INTO bench_usage VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                (
                    number,
                    model.id,
                    model.version_id,
                    Jsonb(used),
                    usage.charged_nanousd,
                    rating.total_input_tokens(used),
                    used.get("cached_input_tokens", 0),
                    used["output_tokens"],
                ),
            )
        self.connection.execute("ANALYZE bench_key, bench_usage")

    def fill(self, size: int) -> None:
        """Write calls until there are so many of them, and leave the tables as a quiet night would: vacuumed."""
        while self.calls < size:
            number = min(CHUNK, size - self.calls)
            with self.connection.transaction():
                self._write(number)
            self.calls += number
        self.connection.execute("VACUUM (ANALYZE)")
        self.connection.execute("CHECKPOINT")

    def _write(self, number: int) -> None:
        self.connection.execute(
            DRAW,
            {
                "first": self.calls,
                "last": self.calls + number - 1,
                "total": self.total,
                "days": DAYS,
                "batch": BATCH,
            },
        )
        self.connection.execute("ANALYZE chunk")
        self.connection.execute(BILLS)
        self.connection.execute("ANALYZE bill")
        for statement in (CALLS, TRANSFERS, USAGE, HOURS):
            self.connection.execute(statement, {"revenue": ledger.house_id("revenue")})

    def megabytes(self) -> int:
        found = self.connection.execute("SELECT pg_database_size(current_database()) / 1048576").fetchone()
        assert found is not None
        return found[0]


DRAW = """
    CREATE TEMP TABLE chunk ON COMMIT DROP AS
    SELECT place, batch, uuidv7(at - clock_timestamp()) AS id, at, k.id AS key_id, k.wallet_id, k.account_id, u.model_id,
        u.version_id, u.usage, u.charged, u.input_tokens, u.cached_input_tokens,
        u.output_tokens
    FROM (
        SELECT place, place / %(batch)s AS batch,
            now() - make_interval(secs => (1 - place::float / %(total)s) * %(days)s * 86400 + 3600) AS at,
            1 + floor(random() * (SELECT count(*) FROM bench_key))::int AS key_number,
            1 + floor(random() * (SELECT count(*) FROM bench_usage))::int AS usage_number
        FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS place OFFSET 0
    ) AS drawn
        JOIN bench_key k ON k.number = key_number
        JOIN bench_usage u ON u.number = usage_number
"""
# The ids of the transfers are taken from their sequence before they are written, for the calls to name them.
BILLS = """
    CREATE TEMP TABLE bill ON COMMIT DROP AS
    SELECT nextval(pg_get_serial_sequence('wallet_transfer', 'id')) AS id, b.* FROM (
        SELECT batch, wallet_id, account_id, min(id::text) AS first_id, max(at) AS at, sum(charged)::bigint AS amount,
            count(*) AS calls
        FROM chunk GROUP BY batch, wallet_id, account_id ORDER BY batch
    ) AS b
"""
CALLS = """
    INSERT INTO logs_call (id, wallet_id, key_id, model_id, price_version_id, status, started_at, recorded_at, usage,
        charged_nanousd, promotional_nanousd, promotional_transfer_id, held_nanousd, balance_after_nanousd, stream,
        latency_ms, first_token_ms, endpoint, upstream_id)
    SELECT c.id, c.wallet_id, key_id, model_id, version_id, 'succeeded', c.at, c.at, usage, charged, charged, b.id, 5000000,
        f.promotional_nanousd + f.paid_nanousd - sum(charged) OVER (PARTITION BY c.wallet_id ORDER BY place),
        true, 1843, 312, '/v1/chat/completions', 'chatcmpl-' || replace(c.id::text, '-', '')
    FROM chunk c JOIN bill b USING (batch, wallet_id) JOIN wallet_funds f ON f.wallet_id = c.wallet_id
    ORDER BY place
"""
TRANSFERS = """
    INSERT INTO wallet_transfer (id, created_at, code, reference, debit_account_id, credit_account_id, wallet_id,
        amount_nanousd, details)
    SELECT id, at, 'usage', 'usage:' || first_id || ':promotional', account_id, %(revenue)s, wallet_id, amount,
        jsonb_build_object('calls', calls)
    FROM bill ORDER BY id
"""
USAGE = """
    INSERT INTO tokens_dailyusage AS d (wallet_id, day, key_id, model_id, last_used_at, calls, failed, input_tokens,
        cached_input_tokens, output_tokens, charged_nanousd, largest_nanousd)
    SELECT wallet_id, (uuid_extract_timestamp(id) AT TIME ZONE 'UTC')::date AS day, key_id, model_id, max(at), count(*), 0,
        sum(input_tokens), sum(cached_input_tokens), sum(output_tokens), sum(charged), max(charged)
    FROM chunk GROUP BY wallet_id, day, key_id, model_id
    ON CONFLICT (wallet_id, day, key_id, model_id) DO UPDATE SET
        last_used_at = greatest(d.last_used_at, excluded.last_used_at), calls = d.calls + excluded.calls,
        input_tokens = d.input_tokens + excluded.input_tokens,
        cached_input_tokens = d.cached_input_tokens + excluded.cached_input_tokens,
        output_tokens = d.output_tokens + excluded.output_tokens,
        charged_nanousd = d.charged_nanousd + excluded.charged_nanousd,
        largest_nanousd = greatest(d.largest_nanousd, excluded.largest_nanousd)
"""
HOURS = """
    INSERT INTO tokens_hourlyusage AS h (wallet_id, hour, key_id, model_id, calls, failed, input_tokens,
        cached_input_tokens, output_tokens, charged_nanousd)
    SELECT wallet_id, date_trunc('hour', uuid_extract_timestamp(id), 'UTC') AS hour, key_id, model_id, count(*), 0,
        sum(input_tokens), sum(cached_input_tokens), sum(output_tokens), sum(charged)
    FROM chunk WHERE at > now() - interval '63 days' GROUP BY wallet_id, hour, key_id, model_id
    ON CONFLICT (wallet_id, hour, key_id, model_id) DO UPDATE SET
        calls = h.calls + excluded.calls, input_tokens = h.input_tokens + excluded.input_tokens,
        cached_input_tokens = h.cached_input_tokens + excluded.cached_input_tokens,
        output_tokens = h.output_tokens + excluded.output_tokens,
        charged_nanousd = h.charged_nanousd + excluded.charged_nanousd
"""
