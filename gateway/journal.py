"""Calls on this machine's disk, from the moment they are let in until the metering API has taken their reports.

The one owner of the file. A call that ended is on the disk before the last of its answer goes out, so that nothing which
a client has whole can be lost: not by a kill, not by a crash of the machine. A call that was let in is written without
waiting for the disk, since losing it loses a call that nobody got an answer to.

One thread has the file, and takes all that waits for it into one transaction: many calls share one flush. What need not
outlive a crash of the machine is written without one, and outlives a kill of the gateway all the same.

The file keeps the size of its largest backlog, about half a kilobyte for each call that the metering API had not taken.
"""

import asyncio
import fcntl
import json
import logging
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

log = logging.getLogger("gateway.journal")

MOST_AT_ONCE = 1_000
# The metering API takes no call that is older, so there is nothing to be done about it any more.
REJECTED_KEPT = "-35 days"
TABLES = """
    CREATE TABLE IF NOT EXISTS calls (
        call_id TEXT PRIMARY KEY, is_over INTEGER NOT NULL, report TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS calls_over ON calls (call_id) WHERE is_over = 1;
    CREATE TABLE IF NOT EXISTS rejected (
        call_id TEXT NOT NULL, code TEXT NOT NULL, message TEXT NOT NULL, report TEXT NOT NULL,
        at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (call_id, code)
    ) WITHOUT ROWID;
"""
INTERRUPTED = "The gateway stopped before this call ended."

Report = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Work:
    do: Callable[[sqlite3.Connection], Any]
    is_lasting: bool
    """Whether it must be on the disk before it is done, and not only out of this process's hands."""
    done: Future[Any] = field(default_factory=Future)


class InUse(Exception):
    """Another gateway has this journal; each needs a folder of its own."""


class Journal:
    """Used as `with`. Raises InUse, and OSError or sqlite3.Error where the folder can't be written."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = os.open(folder / "journal.lock", os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise InUse(f"Another gateway has the journal in {folder}.") from None
        self._path = folder / "journal.sqlite3"
        self._work: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)
        self.is_failing = False
        """Whether a call that was let in could not be written, and none has ended since."""

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._do(lambda _: None).result()  # Or what went wrong with opening it.
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._work.put(None)
        self._thread.join()
        os.close(self._lock)

    def begin(self, report: Report) -> None:
        """The call is let in. `report` is what will be told of it if nothing more is heard: one that failed."""
        row = (report["call_id"], json.dumps(report))
        done = self._do(lambda db: db.execute("INSERT OR IGNORE INTO calls VALUES (?, 0, ?)", row))
        done.add_done_callback(self._begun)

    async def end(self, report: Report) -> None:
        """The call is over, and this will be told of it. Returns when that is on the disk; raises sqlite3.Error.

        Of a call that is over already nothing changes.
        """
        row = (report["call_id"], json.dumps(report))
        await asyncio.wrap_future(
            self._do(
                lambda db: db.execute(
                    "INSERT INTO calls VALUES (?, 1, ?) ON CONFLICT (call_id) DO UPDATE"
                    " SET is_over = 1, report = excluded.report WHERE is_over = 0",
                    row,
                ),
                is_lasting=True,
            )
        )
        self.is_failing = False

    async def interrupted(self) -> int:
        """Ends what an earlier run of the gateway left open: these calls failed. Returns how many."""
        rows = await asyncio.wrap_future(self._do(_open_calls))
        await asyncio.gather(*(self.end({**json.loads(text), "error": INTERRUPTED}) for text in rows))
        return len(rows)

    async def to_tell(self, most: int) -> list[Report]:
        """Reports of calls that are over, oldest first."""
        found: list[str] = await asyncio.wrap_future(
            self._do(
                lambda db: [
                    text
                    for (text,) in db.execute(
                        "SELECT report FROM calls WHERE is_over = 1 ORDER BY call_id LIMIT ?", (most,)
                    )
                ]
            )
        )
        return [json.loads(text) for text in found]

    async def told(self, call_ids: Sequence[str]) -> None:
        """The metering API has these: they are forgotten."""
        rows = [(call_id,) for call_id in call_ids]
        await asyncio.wrap_future(
            self._do(lambda db: db.executemany("DELETE FROM calls WHERE call_id = ?", rows))
        )

    async def rejected(self, report: Mapping[str, Any], code: str, message: str) -> None:
        """The metering API will never take this one. It is kept, for the operator, and not sent again."""
        row = (report["call_id"], code, message, json.dumps(report))

        def move(db: sqlite3.Connection) -> None:
            db.execute(
                "INSERT OR IGNORE INTO rejected (call_id, code, message, report) VALUES (?, ?, ?, ?)", row
            )
            db.execute("DELETE FROM calls WHERE call_id = ?", row[:1])

        await asyncio.wrap_future(self._do(move, is_lasting=True))

    def _begun(self, done: Future[Any]) -> None:
        if error := done.exception():
            self.is_failing = True
            log.error("A call that was let in could not be written to the journal: %s", error)

    def _do(self, do: Callable[[sqlite3.Connection], Any], *, is_lasting: bool = False) -> Future[Any]:
        work = _Work(do, is_lasting)
        # It is done whether or not anybody waits for it still.
        work.done.set_running_or_notify_cancel()
        self._work.put(work)
        return work.done

    def _run(self) -> None:
        try:
            db = _opened(self._path)
        except Exception as error:
            self._refuse_all(error)
            return
        with closing(db):
            while batch := self._batch():
                _carry_out(db, batch)

    def _batch(self) -> list[_Work]:
        """All that waits, at least one; none at the end."""
        found = [self._work.get()]
        while len(found) < MOST_AT_ONCE and not self._work.empty():
            found.append(self._work.get())
        work = [each for each in found if each is not None]
        if len(work) < len(found):
            self._work.put(None)  # What came before the end is carried out first.
        return work

    def _refuse_all(self, error: Exception) -> None:
        while found := self._work.get():
            found.done.set_exception(error)


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(TABLES)
        db.execute("DELETE FROM rejected WHERE at < datetime('now', ?)", (REJECTED_KEPT,))
        path.chmod(0o600)
    except BaseException:
        db.close()
        raise
    return db


def _carry_out(db: sqlite3.Connection, batch: Sequence[_Work]) -> None:
    """In one transaction. Whoever waits is told when it is written, or of the error that undid it."""
    is_lasting = any(work.is_lasting for work in batch)
    try:
        db.execute(f"PRAGMA synchronous = {'FULL' if is_lasting else 'NORMAL'}")
        db.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        # Another program has the file, and it was waited for.
        for work in batch:
            work.done.set_exception(error)
        return
    try:
        results = [work.do(db) for work in batch]
        db.execute("COMMIT")
    except Exception as error:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        _one_by_one(db, batch, error)
        return
    for work, result in zip(batch, results, strict=True):
        work.done.set_result(result)


def _one_by_one(db: sqlite3.Connection, batch: Sequence[_Work], error: Exception) -> None:
    """What can be done in spite of the error: on a full disk what only reads, and all but what is at fault."""
    if len(batch) == 1:
        batch[0].done.set_exception(error)
        return
    for work in batch:
        _carry_out(db, [work])


def _open_calls(db: sqlite3.Connection) -> list[str]:
    return [text for (text,) in db.execute("SELECT report FROM calls WHERE is_over = 0")]
