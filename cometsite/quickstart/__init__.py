"""The quick start: everything that this site needs, on one machine with no server installed.

Standard library and the wheels' binaries only; Django runs in child processes.
"""


class StartError(Exception):
    """Why the quick start cannot go on, as one sentence for the person who started it."""
