"""How many exports there are at a time, how far each is, and how it ends."""

import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from psycopg import sql

from accounts.models import User
from logs import export_copies, export_places, export_progress, export_streams
from logs.export_copies import Copies
from logs.export_places import TooMany
from logs.export_progress import Progress, State, Told
from logs.export_streams import Export
from logs.exporting import Format
from logs.models import Call
from logs.wanted import Wanted
from tests.logs import recorded
from tests.logs.test_exports import rows, running, text
from tests.plugin import CLUSTER
from tokens.models import ApiKey

pytestmark = pytest.mark.django_db(transaction=True)

STARTED = datetime(2026, 11, 3, 4, 5, 6, 789_000, tzinfo=UTC)
# More than what the database and psycopg keep ready between them.
MANY = 40_000
type Begin = Callable[..., Export]


@pytest.fixture
def owner() -> User:
    return recorded.person("owner")


@pytest.fixture
def signed_in(client: Client, owner: User) -> Client:
    client.force_login(owner)
    return client


@pytest.fixture
def key(owner: User) -> ApiKey:
    return recorded.key_of(owner)


class Lines:
    """A source of these lines."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self.lines, self.cuts = lines, 0

    def __iter__(self) -> Iterator[bytes]:
        yield from self.lines

    def cut(self) -> None:
        self.cuts += 1

    def close(self) -> None:
        pass


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Begins an export of small blocks, of lines or of a wallet's calls, and looks after it often."""
    monkeypatch.setattr(export_streams, "BLOCK_BYTES", 1_000)
    monkeypatch.setattr(export_streams, "LOOK_S", 0.05)
    made: list[Export] = []

    def begin(
        of: ApiKey | Iterable[bytes], form: Format = Format.CSV, progress: Progress | None = None
    ) -> Export:
        if isinstance(of, ApiKey):
            wanted = Wanted(of.wallet_id)
            made.append(Export(progress or Progress(of.wallet_id), form, lambda: Copies(wanted, form)))
        else:
            made.append(Export(progress or Progress(1), form, lambda: Lines(of)))
        return made[-1]

    yield begin
    for each in made:
        each.close()


@pytest.fixture
def sixty(key: ApiKey) -> ApiKey:
    version = recorded.model()
    for number in range(60):
        recorded.call(key, version, at=STARTED - timedelta(seconds=number))
    return key


@pytest.fixture
def many(key: ApiKey) -> ApiKey:
    first = recorded.call(key, recorded.model(), at=STARTED)
    columns = [str(field.column) for field in Call._meta.concrete_fields]
    copied = [
        "overlay(id::text placing lpad(to_hex(n), 5, '0') from 32)::uuid" if c == "id" else c for c in columns
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO logs_call ({', '.join(columns)}) SELECT {', '.join(copied)}"
            " FROM logs_call, generate_series(1, %s) n WHERE id = %s ON CONFLICT DO NOTHING",
            [MANY, first.pk],
        )
    return key


def told(key: ApiKey, name: UUID) -> Told:
    found = export_progress.told(key.wallet_id, name)
    assert found is not None
    return found


def test_a_wallet_has_two_at_a_time(signed_in: Client, sixty: ApiKey, begun: Begin) -> None:
    first, second = begun(sixty), begun(sixty)
    response = signed_in.get("/logs/export/")
    assert response.status_code == 429
    assert response["Retry-After"] == "30"
    assert response["Content-Type"].startswith("text/plain")
    page = signed_in.get("/logs/export/?format=csv&model=gpt-test", headers={"Accept": "text/html,*/*;q=0.8"})
    assert (page.status_code, page["Retry-After"]) == (429, "30")
    assert response.text in page.text
    assert '<a class="btn btn-primary" href="/logs/?model=gpt-test">' in page.text
    first.close()
    first.close()  # Gives one place back, not two.
    assert running(1) == 1
    assert len(rows(signed_in)) == 60
    third = begun(sixty)
    with pytest.raises(TooMany):
        begun(sixty)
    for export in (second, third):
        export.close()
    assert running(0) == 0


def test_a_process_bears_only_so_many(signed_in: Client, sixty: ApiKey, begun: Begin) -> None:
    """And one wallet never takes all of its places."""
    made = [begun([b"x" * 2_000], progress=Progress(wallet)) for wallet in (-1, -1, -2, -3)]
    assert len(made) == export_places.PER_PROCESS > export_places.PER_WALLET
    response = signed_in.get("/logs/export/")
    assert (response.status_code, response["Retry-After"]) == (503, "30")
    made[0].close()
    assert len(rows(signed_in)) == 60


def test_one_that_stands_still_keeps_its_place_and_loses_the_database(
    signed_in: Client, many: ApiKey, begun: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread waits for the reader, however little the database has to do with it."""
    monkeypatch.setattr(export_streams, "STILL_S", 0.3)
    made = [begun(many, progress=Progress(many.wallet_id, name := uuid4())) for _ in range(2)]
    for each in made:
        next(each)
    assert running(0) == 0
    assert signed_in.get("/logs/export/").status_code == 429
    assert b"".join(made[1]).splitlines()[-1].startswith(b'"INCOMPLETE: it was not read for two minutes')
    assert told(many, name).state is State.SLOW
    assert "Choose a shorter time" in signed_in.get(f"/logs/exports/{name}/").text
    assert signed_in.get("/logs/export/").status_code == 200


def test_the_time_that_calls_take_to_be_found_is_not_the_readers(
    begun: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_streams, "STILL_S", 0.4)

    def sparse() -> Iterator[bytes]:
        for number in range(3):
            time.sleep(0.8)
            yield b"%d" % number * 1_000

    assert b"".join(begun(sparse())) == b"0" * 1_000 + b"1" * 1_000 + b"2" * 1_000


def test_a_reader_that_takes_a_little_at_a_time_is_not_waited_for_for_ever(
    many: ApiKey, begun: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_streams, "LONGEST_S", 1.0)
    export = begun(many)
    taken = []
    for block in itertools.islice(export, 60):
        taken.append(block)
        time.sleep(0.05)
    assert taken[-1].startswith(b'"INCOMPLETE: it was not read')
    assert running(0) == 0


def test_a_download_moves_while_little_is_found(begun: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_streams, "SEND_S", 0.1)

    def slow() -> Iterator[bytes]:
        yield b"first\n"
        for line in (b"", b"second\n", b""):
            time.sleep(0.15)
            yield line
        yield b"last\n"

    assert list(begun(slow())) == [b"first\n", b"second\n", b"", b"last\n"]


def test_a_watch_outlives_an_error(
    begun: Begin, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(export_streams, "STILL_S", 0.5)

    def broken(_: Progress) -> bool:
        raise RuntimeError

    monkeypatch.setattr(Progress, "is_wanted", broken)
    export = begun([b"x" * 2_000] * 9)
    next(export)
    time.sleep(1)
    assert b"".join(export).startswith(b'"INCOMPLETE: it was not read')
    assert caplog.text.count("can't be told") == 1


def test_why_none_can_begin_is_logged(
    signed_in: Client, sixty: ApiKey, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise psycopg.OperationalError("too many clients already")

    monkeypatch.setattr(psycopg, "connect", refused)
    response = signed_in.get("/logs/export/")
    assert response.status_code == 503
    assert "can't begin now" in response.text
    assert "too many clients already" in caplog.text


def test_a_cut_after_the_end_touches_nobodys_connection(sixty: ApiKey) -> None:
    """Its number may be a stranger's by then."""
    copies = Copies(Wanted(sixty.wallet_id), Format.CSV)
    numbers = {copies._connection.fileno(), copies._socket.fileno()}
    copies.close()
    pairs = [socket.socketpair() for _ in range(4)]
    assert numbers & {end.fileno() for pair in pairs for end in pair}
    copies.cut()
    for here, there in pairs:
        here.sendall(b"x")
        assert there.recv(1) == b"x"
        here.close()
        there.close()


def test_who_leaves_ends_it(sixty: ApiKey, begun: Begin) -> None:
    name = uuid4()
    export = begun(sixty, progress=Progress(sixty.wallet_id, name, 60, head_rows=1))
    next(export)
    assert running(1) == 1
    export.close()
    assert running(0) == 0
    assert list(export) == []
    assert told(sixty, name).state is State.LEFT


@pytest.mark.parametrize("form", list(Format))
def test_a_lost_connection_is_told_in_the_last_line(
    form: Format, many: ApiKey, begun: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    export = begun(many, form, Progress(many.wallet_id, name := uuid4(), MANY))
    taken = [next(export)]
    with psycopg.connect(CLUSTER.url(str(connection.settings_dict["NAME"])), autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
            [export_copies.APPLICATION],
        )
    assert running(0) == 0
    lines = b"".join([*taken, *export]).decode().splitlines()
    assert 10 < len(lines) < MANY
    if form is Format.CSV:
        assert lines[-1].startswith('"INCOMPLETE: an error')
    else:
        assert json.loads(lines[-1])["error"]["code"] == "export_incomplete"
    assert told(many, name).state is State.BROKEN
    assert "broke off" in caplog.text
    begun(many).close()  # Its place is free.


def test_progress_and_stop(signed_in: Client, many: ApiKey, begun: Begin) -> None:
    name = uuid4()
    assert "begins" in signed_in.get(f"/logs/exports/{name}/").text
    assert "did not begin" in signed_in.get(f"/logs/exports/{name}/?asked=15").text
    export = begun(many, progress=Progress(many.wallet_id, name, MANY, head_rows=1))
    next(export)
    time.sleep(0.2)
    page = signed_in.get(f"/logs/exports/{name}/").text
    assert f'max="{MANY}"' in page
    assert "of 40,000 calls exported" in page
    stranger = Client()
    stranger.force_login(recorded.person("stranger"))
    stranger.post(f"/logs/exports/{name}/stop/")
    assert "calls exported" not in stranger.get(f"/logs/exports/{name}/").text, "an id is its owner's"
    time.sleep(0.2)
    assert b"INCOMPLETE" not in next(export)
    signed_in.post(f"/logs/exports/{name}/stop/")
    assert running(0) == 0, "also while nobody reads"
    assert b"".join(export).endswith(b'"INCOMPLETE: this export was stopped."\n')
    assert "Stopped after" in signed_in.get(f"/logs/exports/{name}/").text
    whole = text(signed_in, f"export={name}")
    assert whole.count("\n") == Call.objects.count() + 1, "the next one with this id is not stopped"
    assert "complete: 40,0" in signed_in.get(f"/logs/exports/{name}/").text


def test_a_stop_reaches_a_statement_that_finds_nothing(
    sixty: ApiKey, begun: Begin, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slept(*_: object, **__: object) -> sql.Composed:
        return sql.Composed([sql.SQL("COPY (SELECT pg_sleep(60)) TO STDOUT")])

    monkeypatch.setattr(export_copies, "statement", slept)
    name = uuid4()
    threading.Timer(0.5, export_progress.stop, [sixty.wallet_id, name]).start()
    began_at = time.monotonic()
    export = begun(sixty, progress=Progress(sixty.wallet_id, name))
    assert list(export) == [b'"INCOMPLETE: this export was stopped."\n']
    assert time.monotonic() - began_at < 10
    assert told(sixty, name).state is State.STOPPED
    assert running(0) == 0


def slept(seconds: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s)", [seconds])


def test_how_many_there_will_be_is_counted_unless_it_takes_long(
    signed_in: Client, sixty: ApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of much of the roll-up too, and of what the roll-up can't tell."""
    monkeypatch.setattr("logs.wanted.QUICKLY", 0)
    for query in ("", "&status=succeeded", "&above=0.0001"):
        name = uuid4()
        text(signed_in, f"export={name}{query}")
        assert told(sixty, name).wanted == 60
    monkeypatch.setattr("logs.export_views.COUNT_WAIT_MS", 1)
    monkeypatch.setattr(Wanted, "sums", lambda _: slept(5))
    text(signed_in, f"export={name}")
    assert told(sixty, name).wanted is None
    cache.set(f"export:{sixty.wallet_id}:{name}", ("running", 1_234, None), 60)
    assert "1,234 calls exported so far." in signed_in.get(f"/logs/exports/{name}/").text


def test_the_pools_connection_is_given_back_before_a_file_begins(
    signed_in: Client, sixty: ApiKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[object] = []
    copied = Copies.__iter__

    def looked(self: Copies) -> Iterator[bytes]:
        held.append(connection.connection)
        return copied(self)

    monkeypatch.setattr(Copies, "__iter__", looked)
    assert len(rows(signed_in)) == 60
    assert held == [None]
