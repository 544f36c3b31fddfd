"""`python -m bench`: starts its servers, measures, proves the books, reports; exit 1 where the books are wrong."""

import argparse
import json
import os
import sys
from pathlib import Path

import django

from bench import Failed, plan
from bench.machine import Machine
from cometsite.quickstart import StartError

PROJECT = Path(__file__).resolve().parents[1]
FULL = 10_000_000


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        chosen = plan.of_logs(options.names) if options.logs else plan.chosen(options.names)
    except KeyError as error:
        print(
            f"Nothing is called {error}. There is: {', '.join(plan.GROUPS)}; {', '.join(sorted(plan.NAMES))};"
            f" with --logs: {', '.join(sorted(plan.LOGS))}"
        )
        return 2
    data_dir = Path(os.environ.get("DATA_DIR", "").strip() or PROJECT / ".data").resolve()
    try:
        with Machine(data_dir / "bench") as machine:
            return _measure(machine, chosen, options)
    except (StartError, Failed) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1


def _measure(machine: Machine, chosen: set[str], options: argparse.Namespace) -> int:
    os.environ.update(machine.site.environment)
    os.environ["DJANGO_SETTINGS_MODULE"] = "cometsite.settings"
    django.setup()
    # What needs Django is imported when it is set up, and it reads the environment when it is.
    from bench import logs, rendering, session

    if options.logs:
        running: session.Session = logs.LogSession(machine, options.wallets or logs.WALLETS, options.logs)
    else:
        running = session.Session(machine, options.wallets or session.WALLETS)
    with running:
        if options.names or not options.growth:
            running.measure(chosen, options.rounds, options.seconds)
        if options.growth:
            running.growth(options.growth, options.rounds, options.seconds)
    report = running.report
    text = rendering.as_text(report)
    print(text)
    if options.markdown:
        options.markdown.write_text(text)
    if options.json:
        options.json.write_text(json.dumps(rendering.as_json(report), indent=1))
    return 1 if report.problems() else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="How fast calls are let in, charged and shown, and prices."
    )
    groups = ", ".join(plan.GROUPS)
    parser.add_argument("names", nargs="*", help=f"what to measure: {groups}, or single names; all without")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each window")
    parser.add_argument("--rounds", type=int, default=3, help="each round measures everything once")
    parser.add_argument("--wallets", type=int, help="each with five keys: 1,000, with --logs 5,000")
    part = parser.add_mutually_exclusive_group()
    part.add_argument(
        "--logs",
        type=int,
        nargs="?",
        const=FULL,
        metavar="CALLS",
        help="the log of a wallet with a tenth of so many calls (10 million), beside the same with 10,000 calls",
    )
    part.add_argument(
        "--growth",
        type=int,
        nargs="?",
        const=FULL,
        metavar="CALLS",
        help="recording and check_invariants as the books grow to so many calls (10 million); alone without names",
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
