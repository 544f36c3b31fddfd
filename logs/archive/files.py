"""A month of calls as one Parquet file: by wallet and id, in groups so small that one wallet's are found by their bounds.

Amounts are integers of nano-dollars, ids and usage are text as PostgreSQL writes them; nothing is rounded or left out.
"""

import hashlib
import itertools
import json
import os
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from logs.archive import Row, Unreadable

# A group is the least that can be read: a wallet's thousand calls lie in one or two.
GROUP_ROWS = 8192
Table = pa.Table
MOMENT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        pa.field(name, kind, nullable=is_nullable)
        for name, kind, is_nullable in (
            ("id", pa.string(), False),
            ("wallet_id", pa.int64(), False),
            ("key_id", pa.int64(), False),
            ("model_id", pa.int64(), False),
            ("price_version_id", pa.int64(), False),
            ("group_rate_id", pa.int64(), True),
            ("status", pa.string(), False),
            ("started_at", MOMENT, False),
            ("recorded_at", MOMENT, False),
            ("usage", pa.string(), False),
            ("charged_nanousd", pa.int64(), False),
            ("promotional_nanousd", pa.int64(), False),
            ("promotional_transfer_id", pa.int64(), True),
            ("paid_transfer_id", pa.int64(), True),
            ("held_nanousd", pa.int64(), True),
            ("balance_after_nanousd", pa.int64(), False),
            ("stream", pa.bool_(), True),
            ("latency_ms", pa.int32(), True),
            ("first_token_ms", pa.int32(), True),
            ("endpoint", pa.string(), False),
            ("upstream_id", pa.string(), False),
            ("upstream_cost_nanousd", pa.int64(), True),
            ("is_estimated", pa.bool_(), False),
        )
    ]
)
# Of files that were written before it was told; none of their calls is.
_BEFORE_ESTIMATES = SCHEMA.remove(SCHEMA.get_field_index("is_estimated"))
MOMENTS = [field.name for field in SCHEMA if field.type == MOMENT]
# Written as counts of microseconds, which no setting of the database session can change.
COLUMNS = ", ".join(
    f"(extract(epoch FROM {name}) * 1000000)::bigint" if name in MOMENTS else name for name in SCHEMA.names
)
_COUNTED = pa.schema([(field.name, pa.int64() if field.name in MOMENTS else field.type) for field in SCHEMA])
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def tables(csv_lines: Iterable[bytes | bytearray | memoryview]) -> Iterator[pa.Table]:
    """From the lines of a COPY of COLUMNS in CSV, one a row; each table is a group."""
    for lines in itertools.batched(csv_lines, GROUP_ROWS, strict=False):
        read = pa_csv.read_csv(
            pa.BufferReader(b"".join(lines)),
            read_options=pa_csv.ReadOptions(column_names=SCHEMA.names, use_threads=False),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                column_types=_COUNTED,
                # COPY writes null as nothing at all, and an empty text in quotes.
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                true_values=["t"],
                false_values=["f"],
            ),
        )
        yield read.cast(SCHEMA)


def write(path: Path, groups: Iterator[pa.Table]) -> int:
    """Write the file under a temporary name and put it in place when the disk has it; returns its rows.

    Leaves nothing where that fails. What a crash leaves under the temporary name is written over by the next try.
    """
    written = path.with_suffix(".part")
    try:
        rows = _write(written, groups)
        written.replace(path)
    finally:
        written.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return rows


def _write(path: Path, groups: Iterator[pa.Table]) -> int:
    rows = 0
    with path.open("wb") as file:
        with pq.ParquetWriter(file, SCHEMA, compression="zstd", write_page_checksum=True) as writer:
            for group in groups:
                writer.write_table(group, row_group_size=GROUP_ROWS)
                rows += group.num_rows
        file.flush()
        os.fsync(file.fileno())
    return rows


def groups_of(path: Path) -> Iterator[pa.Table]:
    """The file's groups in order. Raises Unreadable."""
    with _opened(path) as file:
        for number in range(file.num_row_groups):
            yield _group(file, number)


def rows_of(
    path: Path,
    wallet_ids: Collection[int],
    lower_id: UUID,
    upper_id: UUID,
    columns: Sequence[str] | None = None,
) -> Iterator[Row]:
    """Calls of wallets with ids from the first on and before the second, newest first of each. Raises Unreadable.

    All columns where None is named; else these, `id` and `wallet_id` among them.
    """
    lower, upper, wallets = str(lower_id), str(upper_id), sorted(wallet_ids)
    with _opened(path) as file:
        for number in reversed(range(file.num_row_groups)):
            if not _may_hold(file.metadata.row_group(number), wallets, lower, upper):
                continue
            group = _group(file, number, columns)
            wanted = pc.and_(
                pc.is_in(group["wallet_id"], pa.array(wallets, pa.int64())),
                pc.and_(pc.greater_equal(group["id"], lower), pc.less(group["id"], upper)),
            )
            yield from _rows(group.filter(wanted))


def digest(path: Path) -> bytes:
    """SHA-256 of the file. Raises Unreadable."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise Unreadable(f"{path.name} can't be read: {error.strerror}") from error


@contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with path.open("rb") as raw, pq.ParquetFile(raw, page_checksum_verification=True) as file:
            if not any(file.schema_arrow.equals(schema) for schema in (SCHEMA, _BEFORE_ESTIMATES)):
                raise Unreadable(f"{path.name} has other columns than a month of calls.")
            yield file
    except OSError as error:
        raise Unreadable(f"{path.name} can't be read: {error}") from error
    except pa.ArrowException as error:
        raise Unreadable(f"{path.name} is damaged: {error}") from error


def _group(file: pq.ParquetFile, number: int, columns: Sequence[str] | None = None) -> pa.Table:
    group = file.read_row_group(number, columns)
    wanted = SCHEMA.names if columns is None else columns
    if "is_estimated" in wanted and "is_estimated" not in group.column_names:
        group = group.append_column(SCHEMA.field("is_estimated"), pa.array([False] * group.num_rows))
    return group


def _may_hold(group: Any, wallets: list[int], lower: str, upper: str) -> bool:
    """By the bounds that the file keeps of each group. The wallets are in order."""
    its, ids = (group.column(SCHEMA.get_field_index(name)).statistics for name in ("wallet_id", "id"))
    first = bisect_left(wallets, its.min)
    return first < len(wallets) and bool(wallets[first] <= its.max and ids.min < upper and lower <= ids.max)


def _rows(group: pa.Table) -> Iterator[Row]:
    """The last one first."""
    # Arrow takes four times as long to make times of their counts.
    names = group.column_names  # Makes a list of them each time.
    moments = [name for name in MOMENTS if name in names]
    counted = group.cast(pa.schema([_COUNTED.field(name) for name in names]))
    columns = [column.to_pylist()[::-1] for column in counted.columns]
    for values in zip(*columns, strict=True):
        row = dict(zip(names, values, strict=True))
        for name in moments:
            row[name] = _EPOCH + timedelta(microseconds=row[name])
        row["id"], row["usage"] = UUID(row["id"]), json.loads(row["usage"])
        yield row
