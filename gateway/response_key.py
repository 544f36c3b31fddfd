"""The key that LiteLLM seals ids of answers with, which clients send back as `previous_response_id`: after a restart too."""

import os
import secrets
from pathlib import Path

FILE = "response-key"


def kept_in(folder: Path) -> str:
    """Made once. The folder is held by this process alone. Raises OSError."""
    file = folder / FILE
    if file.exists():
        return file.read_text()
    key, unfinished = secrets.token_urlsafe(32), file.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
        output.write(key)
        output.flush()
        os.fsync(output.fileno())
    unfinished.replace(file)
    return key
