"""What the same PostgreSQL does without us: pgbench's TPC-B, COPY of calls, and our own statement in pgbench."""

import json
import random
import re
import resource
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime

import psycopg

from bench import Failed
from bench.machine import Machine
from bench.population import CREDIT_NANOUSD, Key, Population, SoldModel
from bench.results import Sample
from bench.traffic import HELD_NANOUSD
from cometsite.quickstart import commands
from cometsite.quickstart.postgres import ROLE, binary
from logs import call_ids
from logs.authorizing import ADMIT
from wallet.transactions import rows

TPCB_DATABASE = "pgbench"
TPCB_SCALE = 10
CLIENTS = 8
SPEED = re.compile(r"^tps = ([0-9.]+)", re.MULTILINE)
# How authorize's statement has its commit not wait for the disk.
HURRIED = "set_config('synchronous_commit', 'off', true)"
COPY_ROWS_PER_SECOND = 60_000
ROWS_PER_COPY = 10_000
COLUMNS = (
    "id, wallet_id, key_id, model_id, price_version_id, status, started_at, usage, charged_nanousd, promotional_nanousd,"
    " promotional_transfer_id, paid_transfer_id, held_nanousd, balance_after_nanousd, stream, latency_ms, first_token_ms,"
    " endpoint, upstream_id, upstream_cost_nanousd"
)


class Pgbench:
    """The program from the same wheel as the server."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._keys = 0
        self._model = ""

    def prepare_tpcb(self) -> None:
        self.machine.cluster.create_database(TPCB_DATABASE)
        self._run(TPCB_DATABASE, "-i", "-q", "-s", str(TPCB_SCALE))

    def tpcb(self, seconds: float) -> Sample:
        """Transactions."""
        return self._measure(TPCB_DATABASE, seconds)

    def prepare_statement(self, model: SoldModel) -> None:
        """Keys whose digests follow from a number, which pgbench can draw, so that no lookup of ours is measured.

        They stand beside the others, one for one. Done once, however many scripts use them.
        """
        self._model = model.name
        if not self._keys:
            self._keys = rows(
                "WITH made AS (INSERT INTO tokens_apikey (wallet_id, name, prefix, last_four, digest)"
                " SELECT wallet_id, 'pgbench', 'sk-pgbench', '0000',"
                " sha256(('bench-' || row_number() OVER (ORDER BY id))::bytea) FROM tokens_apikey RETURNING id)"
                " SELECT count(*) FROM made"
            )[0][0]

    def script(self, name: str, *, waits: bool) -> Callable[[float], Sample]:
        """Authorize's own statement, as it is or with a commit that waits for the disk as every other does."""

        def measure(seconds: float) -> Sample:
            file = self.machine.folder.path / f"{name}.sql"
            file.write_text(self._statement(waits=waits))
            options = ("-n", "-f", str(file), "-D", f"model={self._model}")
            return self._measure(commands.DATABASE, seconds, *options)

        return measure

    def _statement(self, *, waits: bool) -> str:
        statement = ADMIT % {
            "digest": "sha256(('bench-' || :number::text)::bytea)",
            "call_id": "uuidv7()",
            "model": ":model",
            "model_id": ":model_id",
            "client_ip": "NULL",
            "amount": ":amount",
            "tokens": ":tokens",
            "seconds": ":seconds",
            "is_sold": ":is_sold",
            "minute_floor": "NULL::uuid",
            "minute_ceiling": "NULL::uuid",
        }
        if waits:
            statement = statement.replace(HURRIED, HURRIED.replace("off", "on"))
            assert "'off'" not in statement
        settings = (
            f"\\set number random(1, {self._keys})",
            f"\\set amount {HELD_NANOUSD}",
            "\\set seconds 900",
            "\\set is_sold true",
            "\\set model_id 1",
            "\\set tokens 1500",
        )
        return "\n".join([*settings, statement.strip() + ";"])

    def _measure(self, database: str, seconds: float, *options: str) -> Sample:
        load = ("-c", str(CLIENTS), "-j", "2", "-M", "prepared", "-T", str(max(1, round(seconds))))
        own, watch = _children_cpu_s(), self.machine.watch()
        output = self._run(database, *load, *options)
        cores = watch.cores(_children_cpu_s() - own)
        found = SPEED.search(output)
        if found is None:
            raise Failed(f"pgbench says no speed:\n{output}")
        return Sample(float(found[1]), cores=cores)

    def _run(self, database: str, *options: str) -> str:
        address = ("-h", str(self.machine.cluster.sockets), "-U", ROLE)
        done = subprocess.run(
            [str(binary("pgbench")), *address, *options, database],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise Failed(f"pgbench failed:\n{done.stdout}{done.stderr}")
        return done.stdout


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Copy:
    """COPY of rows like those that recording writes, into a table like theirs with its indexes and months.

    One connection, 10,000 rows a transaction, text that was rendered before; the table is empty at the start of a window.
    """

    def __init__(self, machine: Machine, population: Population) -> None:
        self.machine = machine
        self.population = population

    def prepare(self) -> None:
        with self._connect() as connection:
            found = connection.execute("SELECT pg_get_partkeydef('logs_call'::regclass)").fetchone()
            assert found is not None
            connection.execute(
                f"CREATE TABLE bench_call (LIKE logs_call INCLUDING ALL) PARTITION BY {found[0]}"
            )
            months = connection.execute(
                "SELECT c.relname::text, pg_get_expr(c.relpartbound, c.oid) FROM pg_inherits i"
                " JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'logs_call'::regclass"
            ).fetchall()
            for name, bounds in months:
                connection.execute(f"CREATE TABLE bench_{name} PARTITION OF bench_call {bounds}")

    def __call__(self, seconds: float) -> Sample:
        """Rows."""
        number = max(ROWS_PER_COPY, round(COPY_ROWS_PER_SECOND * seconds))
        blocks = [self._block(min(ROWS_PER_COPY, number - at)) for at in range(0, number, ROWS_PER_COPY)]
        with self._connect() as connection:
            connection.execute("TRUNCATE bench_call")
            watch, own, began_at = self.machine.watch(), time.process_time(), time.perf_counter()
            for block in blocks:
                with connection.cursor().copy(f"COPY bench_call ({COLUMNS}) FROM STDIN") as copy:
                    copy.write(block)
            elapsed = time.perf_counter() - began_at
            return Sample(number / elapsed, cores=watch.cores(time.process_time() - own))

    def _block(self, number: int) -> bytes:
        now = datetime.now(UTC).isoformat()
        keys = random.choices(self.population.keys, k=number)
        models = random.choices(self.population.models, k=number)
        return "".join(
            _row(key, model, now, place) for place, (key, model) in enumerate(zip(keys, models, strict=True))
        ).encode()

    def _connect(self) -> "psycopg.Connection[tuple[object, ...]]":
        return psycopg.connect(self.machine.cluster.url(commands.DATABASE), autocommit=True)


def _row(key: Key, model: SoldModel, now: str, place: int) -> str:
    call_id, usage = call_ids.new(), random.choice(model.usages)
    charged = usage.charged_nanousd
    return (
        f"{call_id}\t{key.wallet_id}\t{key.id}\t{model.id}\t{model.version_id}\tsucceeded\t{now}\t{json.dumps(usage.quantities)}"
        f"\t{charged}\t{charged}\t{place + 1}\t\\N\t{HELD_NANOUSD}\t{CREDIT_NANOUSD - charged}\tt\t1843\t312"
        f"\t/v1/chat/completions\tchatcmpl-{call_id.hex}\t\\N\n"
    )
