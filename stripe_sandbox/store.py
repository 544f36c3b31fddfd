"""State, in one SQLite file: objects as JSON, and the tables that the machinery around them needs.

One lock and one transaction a request. The write-ahead log without a sync per commit keeps what was answered
over a kill -9 of this process; only a crash of the machine can lose the last moments.
"""

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import no_such

type Json = dict[str, Any]

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    created INTEGER NOT NULL,
    body TEXT NOT NULL,
    private TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS objects_by_kind ON objects (kind, seq);
CREATE INDEX IF NOT EXISTS objects_by_time ON objects (kind, created);
CREATE INDEX IF NOT EXISTS objects_by_customer ON objects (kind, json_extract(body, '$.customer'));
CREATE INDEX IF NOT EXISTS objects_by_intent ON objects (kind, json_extract(body, '$.payment_intent'));
CREATE INDEX IF NOT EXISTS objects_by_type ON objects (kind, json_extract(body, '$.type'));
CREATE INDEX IF NOT EXISTS objects_by_charge ON objects (kind, json_extract(body, '$.charge'));
CREATE INDEX IF NOT EXISTS objects_by_source ON objects (kind, json_extract(body, '$.source'));

CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    request_id TEXT NOT NULL,
    created REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS answers_by_time ON answers (created);

CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    due_at REAL NOT NULL,
    kind TEXT NOT NULL,
    object_id TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS jobs_by_time ON jobs (due_at);

CREATE TABLE IF NOT EXISTS deliveries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL,
    endpoint_id TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed', 'dropped')),
    attempts INTEGER NOT NULL DEFAULT 0,
    created_at REAL NOT NULL,
    next_attempt_at REAL,
    last_status INTEGER,
    last_error TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS deliveries_by_event ON deliveries (event_id);
CREATE INDEX IF NOT EXISTS deliveries_due ON deliveries (next_attempt_at) WHERE state = 'pending';

CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
"""

# How error messages call a kind, and the parameter that names it in an address.
CALLED = {
    "checkout.session": ("checkout.session", "session"),
    "payment_intent": ("payment_intent", "intent"),
    "balance_transaction": ("balance transaction", "id"),
    "billing_portal.configuration": ("configuration", "configuration"),
    "payment_method": ("PaymentMethod", "payment_method"),
    "setup_intent": ("setupintent", "intent"),
    "dispute": ("dispute", "dispute"),
    "payout": ("payout", "payout"),
    "webhook_endpoint": ("webhook endpoint", "webhook_endpoint"),
}


@dataclass
class Record:
    """A stored object: `body` is what the API shows, `private` what only the stand-in knows."""

    seq: int
    body: Json
    private: Json

    @property
    def id(self) -> str:
        return str(self.body["id"])


class Store:
    """Every method but `transaction` is called inside one."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        self._db.execute("SAVEPOINT work")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK TO work")
            self._db.execute("RELEASE work")
            raise
        self._db.execute("RELEASE work")

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        return self._db.execute(sql, values).fetchall()

    def run(self, sql: str, values: Sequence[Any] = ()) -> int:
        """The number of rows that changed."""
        return self._db.execute(sql, values).rowcount

    def insert(self, body: Json, private: Json | None = None) -> Record:
        row = (body["id"], body["object"], body["created"], json.dumps(body), json.dumps(private or {}))
        self._db.execute("INSERT INTO objects (id, kind, created, body, private) VALUES (?, ?, ?, ?, ?)", row)
        return Record(0, body, private or {})

    def save(self, record: Record) -> None:
        row = (json.dumps(record.body), json.dumps(record.private), record.id)
        self._db.execute("UPDATE objects SET body = ?, private = ? WHERE id = ?", row)

    def delete(self, record: Record) -> None:
        self._db.execute("DELETE FROM objects WHERE id = ?", (record.id,))

    def tombstone(self, record: Record) -> None:
        """Nobody finds it as its kind any more; `get_even_deleted` still knows that it was there."""
        record.body = {"id": record.id, "object": record.body["object"], "deleted": True}
        self.save(record)
        self._db.execute("UPDATE objects SET kind = 'deleted_' || kind WHERE id = ?", (record.id,))

    def find(self, kind: str, key: str) -> Record | None:
        rows = self.select("kind = ? AND id = ?", [kind, key])
        return rows[0] if rows else None

    def get(self, kind: str, key: str, *, param: str | None = None) -> Record:
        """ApiError `resource_missing`: 404, or 400 where `param` says which parameter named it."""
        record = self.find(kind, key)
        if record is None:
            called, name = CALLED.get(kind, (kind, "id"))
            raise no_such(called, key, param=param or name, status=400 if param else 404)
        return record

    def get_even_deleted(self, kind: str, key: str) -> Record:
        """As `get`; of what was deleted its id, and `deleted`."""
        return self.find(f"deleted_{kind}", key) or self.get(kind, key)

    def select(
        self, where: str, values: Sequence[Any], *, order: str = "seq", limit: int = -1
    ) -> list[Record]:
        """`where` and `order` are the stand-in's own text; what a client sent goes into `values`."""
        # No text of a client's gets into the statement.
        sql = f"SELECT seq, body, private FROM objects WHERE {where} ORDER BY {order} LIMIT ?"  # noqa: S608
        rows = self._db.execute(sql, [*values, limit])
        return [Record(seq, json.loads(body), json.loads(private)) for seq, body, private in rows]

    def version(self) -> int:
        """Which version's shape the objects have; 0 before it was written down."""
        return int(self.query("PRAGMA user_version")[0][0])

    def set_version(self, number: int) -> None:
        self.run(f"PRAGMA user_version = {number:d}")

    def setting(self, name: str, default: str) -> str:
        rows = self.query("SELECT value FROM settings WHERE name = ?", (name,))
        return str(rows[0][0]) if rows else default

    def set_setting(self, name: str, value: str) -> None:
        self.run("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", (name, value))
