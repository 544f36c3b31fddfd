"""CometAPI's published command-line tool, in an environment of its own, and what it is shown."""
