"""The export of the account API as blocks of bytes. Rows are read in batches; see `logs.export_streams` for the places."""

import logging
from collections.abc import Iterator
from typing import Self

from django.db import connection

from logs.export_streams import BLOCK_BYTES, Busy, places
from logs.exporting import Format

log = logging.getLogger(__name__)


class Blocks:
    """Lines of CSV, gathered. Whoever makes one closes it. Raises Busy.

    Between two blocks it keeps no connection of the pool. After an error its last line says that the file is not whole.
    """

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines, self._is_closed = lines, True
        if not places.acquire(blocking=False):
            raise Busy
        self._is_closed = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        block, size = [], 0
        try:
            while size < BLOCK_BYTES and (line := next(self._lines, "")):
                block.append(line.encode())
                size += len(block[-1])
        except Exception:
            log.exception("An export of the account API broke off.")
            self.close()
            return b"".join(block) + Format.CSV.incomplete("an error ended this export. Export it again.")
        finally:
            if not connection.in_atomic_block:
                connection.close()
        if not block:
            self.close()
            raise StopIteration
        return b"".join(block)

    def __del__(self) -> None:
        self.close()  # Of an answer that an error on its way out took away.

    def close(self) -> None:
        """Twice is fine."""
        if not self._is_closed:
            self._is_closed = True
            self._lines = iter(())
            places.release()
