"""What a full key may look like wherever it was written down, and every place where that is looked for."""

import base64
import functools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql
from redis import Redis

# Of a key that nobody can guess any more once so much of it is known.
TELLING = 28
# Before it stands what anybody may see.
HEAD = 17


@functools.cache
def needles(text: str) -> dict[str, bytes]:
    """How a key looks as itself, in part, in an address, backwards, as PostgreSQL prints bytes, and in Base64."""
    tail = text[-TELLING:].encode()
    found = {
        "itself": text.encode(),
        "its end": tail,
        "its middle": text[HEAD:][:TELLING].encode(),
        "quoted": quote(text, safe="").replace("-", "%2D").encode(),
        "backwards": text[::-1].encode(),
        "hexadecimal": tail.hex().encode(),
    }
    for shift in range(3):
        # Without the characters that depend on what stands before and behind.
        encoded = base64.b64encode(b"\0" * shift + tail)
        found[f"Base64 {shift}"] = encoded[4:-4]
    return found


def traces(texts: Iterable[str], where: str, data: bytes) -> list[str]:
    """A sentence for each key that the data holds in any form."""
    return [
        f"{text[:14]}…: {how}, in {where}"
        for text in texts
        for how, needle in needles(text).items()
        if needle in data
    ]


def in_database(url: str, texts: Iterable[str]) -> list[str]:
    """Every column of every row, of partitions too."""
    wanted, found = list(texts), []
    with psycopg.connect(url, autocommit=True) as connection:
        tables = connection.execute(
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE c.relkind = 'r' AND n.nspname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        assert len(tables) > 40, tables
        for schema, table in tables:
            statement = sql.SQL("COPY (SELECT * FROM {}.{}) TO STDOUT").format(
                sql.Identifier(schema), sql.Identifier(table)
            )
            with connection.cursor().copy(statement) as copy:
                data = b"".join(bytes(block) for block in copy)
            found += traces(wanted, f"table {table}", data)
    return found


def in_valkey(url: str, texts: Iterable[str]) -> list[str]:
    """Names and values of every kind; a dump is the value as it lies in memory, compressed where it is long."""
    wanted, found = list(texts), []
    client = Redis.from_url(url)
    client.config_set("rdbcompression", "no")
    for name in client.scan_iter("*"):
        found += traces(wanted, "Valkey's names", name)
        found += traces(wanted, f"Valkey's {name!r}", client.dump(name) or b"")
        if client.type(name) == b"list":
            for message in client.lrange(name, 0, -1):
                assert isinstance(message, bytes)
                found += traces(wanted, f"the queue {name!r}", _unpacked(message))
    client.close()
    return found


def _unpacked(message: bytes) -> bytes:
    """A message of the queue with its Base64 body as it is read."""
    bodies = re.findall(rb'"body": "([A-Za-z0-9+/=]+)"', message)
    return message + b"".join(base64.b64decode(body) for body in bodies)


def in_files(folders: Iterable[Path], texts: Iterable[str], *, but: Iterable[Path] = ()) -> list[str]:
    """Of databases too, whose files keep what was deleted or written down before it was done."""
    wanted, left_out, found = list(texts), set(but), []
    for file in _files(folders):
        if file not in left_out:
            found += traces(wanted, str(file), file.read_bytes())
    return found


def _files(folders: Iterable[Path]) -> Iterator[Path]:
    for folder in folders:
        yield from [folder] if folder.is_file() else [each for each in folder.rglob("*") if each.is_file()]


def in_command_lines(texts: Iterable[str]) -> list[str]:
    """Of all processes of this machine, where every user can read them."""
    wanted, found = list(texts), []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found += traces(wanted, str(file), file.read_bytes())
        except OSError:
            continue  # It has ended meanwhile.
    return found
