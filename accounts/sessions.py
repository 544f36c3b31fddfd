"""Sessions as Django keeps them in the database, each with the id of its person. Named by SESSION_ENGINE."""

from typing import Any

from django.contrib.sessions.backends.db import SessionStore as DatabaseStore

from accounts.models import Session


class SessionStore(DatabaseStore):
    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def create_model_instance(self, data: dict[str, Any]) -> Session:
        found = super().create_model_instance(data)
        assert isinstance(found, Session)
        known = str(data.get("_auth_user_id", ""))
        found.user_id = int(known) if known.isdecimal() else None
        return found
