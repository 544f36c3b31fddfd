"""The stand-in's time, which can be moved forward so that what takes a day can be seen in a second."""

import time

from .store import Store

SETTING = "clock_offset_s"


class Clock:
    """Real time plus an offset that is kept with the rest of the state."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def time(self) -> float:
        """Seconds since 1970; read inside a transaction."""
        return time.time() + float(self._store.setting(SETTING, "0"))

    def advance(self, seconds: int) -> None:
        offset = int(self._store.setting(SETTING, "0")) + seconds
        self._store.set_setting(SETTING, str(offset))
