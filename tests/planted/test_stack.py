"""Keys of every kind, planted in every flow of a running quick start: afterwards they are found nowhere.

Not in the database nor its files, Valkey, the queue, any log, any mail, any process's arguments, nor any answer but the
one that shows it.
"""

import base64
import json
import secrets
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import psycopg
import pytest
from redis import Redis

from tests.planted import flows, needles
from tests.planted.conftest import Scene
from tests.stack import Stack
from tokens import masking

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]
# Where the secrets of the servers themselves belong: of the operator alone.
PRIVATE = ("quickstart.env", "secrets.json", "valkey/valkey.conf")
LOGS = {"web.log", "worker.log", "beat.log", "postgres.log", "valkey.log", "stripe.log"}


@pytest.fixture(scope="module")
def planted(scene: Scene) -> Scene:
    """After everything was tried with every key."""
    for text in scene.texts.values():
        flows.addresses(scene.person, text)
        flows.search(scene, text)
        flows.questions(scene, text)
        flows.reports(scene, text)
        flows.stripe_event(scene, text)
    flows.addresses(scene.staff, scene.texts["inference"])
    flows.headers(scene.person, scene.texts["inference"])
    # From here on they are revoked; their owner is told while the rest goes on.
    for text in scene.texts.values():
        flows.leak(scene, text)
    flows.forms(scene)
    flows.forms_of_staff(scene)
    flows.with_errors(scene, scene.texts["query"])
    flows.without_servers(scene, scene.texts["inference"])
    flows.wait_for_mails(scene)
    return scene


def nothing(found: Iterable[str]) -> None:
    told = "\n".join(found)
    assert not told, told


def test_nothing_in_any_answer_but_the_one_that_shows_it(planted: Scene) -> None:
    """Nor on any page that was asked for after all that; those of staff held it no more while they were tried."""
    own = ("/tokens/", "/logs/", "/wallet/", "/accounts/")
    assert len(list(planted.person.pages(*own, below=own))) > 5
    nothing(planted.told)


def test_nothing_in_the_database(planted: Scene) -> None:
    nothing(needles.in_database(planted.stack.env["DATABASE_URL"], planted.hunted))


def test_nothing_in_valkey_nor_the_queue(planted: Scene) -> None:
    nothing(needles.in_valkey(planted.stack.env["VALKEY_URL"], planted.hunted))


def test_nothing_in_a_log_a_mail_or_any_other_file(planted: Scene) -> None:
    """Not even in those of PostgreSQL and Valkey themselves, which know what was deleted and what was sent on."""
    folder = planted.stack.data_dir
    assert {file.name for file in (folder / "logs").iterdir()} >= LOGS
    private, of_stripe = [folder / name for name in PRIVATE], list((folder / "stripe").iterdir())
    everything = [folder, planted.stack.output_file]
    nothing(needles.in_files(everything, planted.hunted, but=[*private, *of_stripe]))
    # Stripe knows its own secrets, and nobody else's; and the servers theirs.
    of_people = [text for what, text in planted.texts.items() if what not in planted.of_stripe]
    nothing(needles.in_files([*private, *of_stripe], of_people))
    assert all(file.stat().st_mode & 0o077 == 0 for file in private)


def test_nothing_among_the_arguments_of_a_process(planted: Scene) -> None:
    nothing(needles.in_command_lines(planted.hunted))


def test_they_did_arrive(planted: Scene) -> None:
    """What was never there is not found either: of each place it is known that keys came by."""
    logs = {name: (planted.stack.data_dir / "logs" / name).read_text() for name in LOGS}
    assert "sk-…" in logs["web.log"]
    assert "Internal Server Error" in logs["web.log"]
    assert "accounts_session" in logs["postgres.log"]
    with psycopg.connect(planted.stack.env["DATABASE_URL"]) as connection:
        for query in (
            "SELECT 1 FROM logs_rejectedcall WHERE payload::text LIKE '%sk-…%'",
            "SELECT 1 FROM logs_calldetails WHERE error LIKE '%whsec_…%'",
            "SELECT 1 FROM tokens_notice WHERE url LIKE '%at-…%'",
        ):
            assert connection.execute(query).fetchone(), query
    statuses = planted.person.statuses
    assert all(statuses[status] for status in (200, 201, 302, 400, 401, 404, 422, 500, 503)), statuses


@pytest.mark.parametrize("prefix", masking.PREFIXES)
def test_the_hunt_finds_what_is_there(stack: Stack, tmp_path: Path, prefix: str) -> None:
    """What finds nothing proves something only if it can find: a key that is written into each of the places."""
    text = prefix + secrets.token_hex(27)
    assert masking.holds_key(text)
    assert {each.split(": ")[1].split(", in")[0] for each in _written(tmp_path, text)} == set(
        needles.needles(text)
    )
    with psycopg.connect(stack.env["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("CREATE TABLE hunted (a jsonb, b bytea)")
        try:
            row = [json.dumps({"x": text}), text.encode()]
            connection.execute("INSERT INTO hunted VALUES (%s::jsonb, %s)", row)
            found = needles.in_database(stack.env["DATABASE_URL"], [text])
        finally:
            connection.execute("DROP TABLE hunted")
    assert _ways(found) >= {"itself", "hexadecimal"}
    # The statement is in PostgreSQL's log, and the row that is gone in its files.
    for name in ("logs", "postgres"):
        assert needles.in_files([stack.data_dir / name], [text]), name


def test_the_hunt_finds_what_is_in_valkey_or_among_arguments(stack: Stack) -> None:
    text = "sk-" + secrets.token_hex(27)
    message = json.dumps({"body": base64.b64encode(f"[[{text}]]".encode()).decode()})
    client = Redis.from_url(stack.env["VALKEY_URL"])
    client.set("hunted", f"before {text * 100}")
    client.lpush("hunted-queue", message)
    client.hset("hunted-hash", text, "1")
    try:
        found = needles.in_valkey(stack.env["VALKEY_URL"], [text])
    finally:
        client.delete("hunted", "hunted-queue", "hunted-hash")
        client.close()
    assert {where for where in ("'hunted'", "'hunted-queue'", "'hunted-hash'") if where in str(found)} == {
        "'hunted'", "'hunted-queue'", "'hunted-hash'",
    }  # fmt: skip
    with subprocess.Popen([sys.executable, "-c", "input()", text], stdin=subprocess.PIPE) as process:
        found = needles.in_command_lines([text])
        process.communicate(b"\n")
    assert "itself" in _ways(found)


def test_the_hunt_finds_what_an_answer_shows(scene: Scene) -> None:
    """The page of a search says what was searched for."""
    word = "hunted" + secrets.token_hex(20)
    before, scene.person.texts = scene.person.texts, [word]
    try:
        scene.person.ask("GET", "/pricing/", params={"q": word})
    finally:
        scene.person.texts = before
    found = [each for each in scene.person.found if each.startswith(word[:14])]
    scene.person.found = [each for each in scene.person.found if each not in found]
    assert "itself" in _ways(found)


def _written(folder: Path, text: str) -> list[str]:
    for number, written in enumerate(needles.needles(text).values()):
        (folder / f"{number}.log").write_bytes(b"before " + written + b" behind")
    return needles.in_files([folder], [text])


def _ways(found: Iterable[str]) -> set[str]:
    return {each.split(": ")[1].split(", in")[0] for each in found}
