"""The journal: what is told it is there after a kill, and nothing that goes wrong ends it."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.journal import INTERRUPTED, InUse, Journal
from tests.stack import PROJECT

PATIENCE_S = 15.0


def report(call_id: str, **more: Any) -> dict[str, Any]:
    return {"call_id": call_id, "status": "succeeded", **more}


def on(folder: Path, story: Callable[[Journal], Awaitable[Any]]) -> Any:
    """What the story gives, on a journal of its own run."""

    async def told() -> Any:
        with Journal(folder) as journal:
            async with asyncio.timeout(PATIENCE_S):
                return await story(journal)

    return asyncio.run(told())


async def ids(journal: Journal) -> list[str]:
    return [told["call_id"] for told in await journal.to_tell(1_000)]


def test_what_is_over_is_told_oldest_first_until_it_is_told(tmp_path: Path) -> None:
    async def story(journal: Journal) -> tuple[list[str], list[str], list[str]]:
        journal.begin(report("open"))
        for call_id in ("b", "a", "c"):
            await journal.end(report(call_id))
        first = [told["call_id"] for told in await journal.to_tell(2)]
        all_of_them = await ids(journal)
        await journal.told(["a", "c"])
        return first, all_of_them, await ids(journal)

    assert on(tmp_path, story) == (["a", "b"], ["a", "b", "c"], ["b"])


def test_what_was_told_of_a_call_first_stands(tmp_path: Path) -> None:
    async def story(journal: Journal) -> list[dict[str, Any]]:
        await journal.end(report("a", latency_ms=1))
        await journal.end(report("a", latency_ms=2))
        journal.begin(report("a", latency_ms=3))
        return await journal.to_tell(10)

    assert on(tmp_path, story) == [report("a", latency_ms=1)]


def test_calls_that_were_open_at_the_end_of_a_run_failed(tmp_path: Path) -> None:
    async def first(journal: Journal) -> None:
        for number in range(50):
            journal.begin(report(f"open {number:02}", status="failed"))
        await journal.end(report("whole"))

    async def second(journal: Journal) -> tuple[int, list[dict[str, Any]]]:
        return await journal.interrupted(), await journal.to_tell(100)

    on(tmp_path, first)
    count, told = on(tmp_path, second)
    assert count == 50
    assert {each["error"] for each in told if each["call_id"] != "whole"} == {INTERRUPTED}
    assert [each for each in told if each["call_id"] == "whole"] == [report("whole")]


def test_what_is_rejected_is_kept_and_not_told_again(tmp_path: Path) -> None:
    async def story(journal: Journal) -> list[str]:
        await journal.end(report("a"))
        await journal.rejected(report("a"), "conflict", "Not the same.")
        await journal.rejected(report("a"), "conflict", "Not the same.")
        return await ids(journal)

    assert on(tmp_path, story) == []
    assert rejected(tmp_path) == [("a", "conflict")]


def test_what_can_never_be_recorded_any_more_is_not_kept_for_ever(tmp_path: Path) -> None:
    async def story(journal: Journal) -> None:
        for call_id in ("old", "young"):
            await journal.rejected(report(call_id), "conflict", "Not the same.")

    on(tmp_path, story)
    with sqlite3.connect(tmp_path / "journal.sqlite3") as database:
        database.execute("UPDATE rejected SET at = datetime('now', '-36 days') WHERE call_id = 'old'")
    database.close()
    on(tmp_path, ids)
    assert rejected(tmp_path) == [("young", "conflict")]


def rejected(folder: Path) -> list[tuple[str, str]]:
    database = sqlite3.connect(folder / "journal.sqlite3")
    try:
        return database.execute("SELECT call_id, code FROM rejected").fetchall()
    finally:
        database.close()


def test_a_journal_has_one_gateway(tmp_path: Path) -> None:
    with Journal(tmp_path), pytest.raises(InUse, match="Another gateway"):
        Journal(tmp_path)
    with Journal(tmp_path):
        pass


def test_what_can_not_be_opened_is_let_go_of(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite3").write_bytes(b"This is no database at all. " * 50)
    with pytest.raises(sqlite3.DatabaseError), Journal(tmp_path):
        pass
    (tmp_path / "journal.sqlite3").unlink()
    with Journal(tmp_path):
        pass


def test_a_kill_after_the_end_was_written_loses_nothing(tmp_path: Path) -> None:
    program = (
        "import asyncio, pathlib, sys, time\n"
        "from gateway.journal import Journal\n"
        "async def run(journal):\n"
        "    await asyncio.gather(*(journal.end({'call_id': f'{n:03}'}) for n in range(200)))\n"
        "    journal.begin({'call_id': 'open'})\n"
        "    await journal.to_tell(1)\n"
        "    print('written', flush=True)\n"
        "    time.sleep(60)\n"
        "with Journal(pathlib.Path(sys.argv[1])) as journal:\n"
        "    asyncio.run(run(journal))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        os.kill(process.pid, signal.SIGKILL)

    async def story(journal: Journal) -> tuple[int, list[str]]:
        return await journal.interrupted(), await ids(journal)

    count, found = on(tmp_path, story)
    assert (count, len(found)) == (1, 201)


def test_who_waits_no_longer_changes_nothing(tmp_path: Path) -> None:
    async def story(journal: Journal) -> list[str]:
        waiting = asyncio.create_task(journal.end(report("a")))
        await asyncio.sleep(0)
        waiting.cancel()
        return await ids(journal)

    assert on(tmp_path, story) == ["a"]


def test_who_waits_no_longer_for_what_fails_does_not_end_the_journal(tmp_path: Path) -> None:
    async def story(journal: Journal) -> list[str]:
        fill(journal)
        gone = threading.Event()
        journal._do(lambda _: gone.wait(PATIENCE_S))
        waiting = asyncio.create_task(journal.end(report("a", text=LONG)))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        gone.set()
        free(journal)
        await journal.end(report("b"))
        return await ids(journal)

    assert on(tmp_path, story) == ["b"]


def test_a_full_disk_fails_what_is_written_and_nothing_else(tmp_path: Path) -> None:
    async def story(journal: Journal) -> tuple[list[str], list[str]]:
        await journal.end(report("a"))
        fill(journal)
        failing = asyncio.create_task(journal.end(report("b", text=LONG)))
        reading = asyncio.create_task(ids(journal))
        with pytest.raises(sqlite3.OperationalError, match="full"):
            await failing
        meanwhile = await reading
        free(journal)
        await journal.end(report("b", text=LONG))
        return meanwhile, await ids(journal)

    assert on(tmp_path, story) == (["a"], ["a", "b"])


def test_whatever_goes_wrong_with_one_call_the_others_are_written(tmp_path: Path) -> None:
    async def story(journal: Journal) -> list[str]:
        bad = asyncio.create_task(journal.told(["\ud800"]))
        good = asyncio.create_task(journal.end(report("a")))
        with pytest.raises(UnicodeEncodeError):
            await bad
        await good
        return await ids(journal)

    assert on(tmp_path, story) == ["a"]


def test_another_program_in_the_file_is_waited_for_and_then_told_of(tmp_path: Path) -> None:
    async def story(journal: Journal) -> list[str]:
        other = sqlite3.connect(tmp_path / "journal.sqlite3", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        waiting = [asyncio.create_task(journal.end(report(f"{number}"))) for number in range(20)]
        for failed in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(failed, sqlite3.OperationalError)
        other.execute("ROLLBACK")
        other.close()
        await journal.end(report("a"))
        return await ids(journal)

    assert on(tmp_path, story) == ["a"]


LONG = "x" * 100_000


def fill(journal: Journal) -> None:
    """From now on the file may not grow: what SQLite says then is what it says of a full disk."""
    journal._do(lambda db: db.execute("PRAGMA max_page_count = 1").fetchone()).result(PATIENCE_S)


def free(journal: Journal) -> None:
    journal._do(lambda db: db.execute("PRAGMA max_page_count = 1000000").fetchone()).result(PATIENCE_S)
