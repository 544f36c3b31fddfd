"""The figures of a run, told at its end."""

import pytest

from tests.fuzz.figures import FIGURES, SEED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not FIGURES:
        return
    asked = sum(sum(statuses.values()) for statuses in FIGURES.values())
    terminalreporter.write_sep("=", "examples from the OpenAPI document")
    for label, statuses in sorted(FIGURES.items()):
        told = ", ".join(f"{count:,} × {status}" for status, count in sorted(statuses.items()))
        terminalreporter.write_line(f"{label}: {sum(statuses.values()):,} ({told})")
    terminalreporter.write_line(f"{asked:,} examples for {len(FIGURES)} operations, seed {SEED}")
