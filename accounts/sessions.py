"""Sessions as Django keeps them in the database, each with the id of its person. Named by SESSION_ENGINE."""

import re
from typing import Any

from django.contrib.sessions.backends.db import SessionStore as DatabaseStore

from accounts.models import Session

# As Django makes them. What else a cookie holds, be it somebody's key, the database is not asked for.
_KEY = re.compile(r"[0-9a-z]{32}")


class SessionStore(DatabaseStore):
    def _validate_session_key(self, key: str | None) -> bool:
        return _KEY.fullmatch(key or "") is not None

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        found = super().create_model_instance(data)
        assert isinstance(found, Session)
        known = str(data.get("_auth_user_id", ""))
        found.user_id = int(known) if known.isdecimal() else None
        return found
