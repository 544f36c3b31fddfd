"""`make chaos`: kill -9 under load, then servers that go away, then the books against the clients' journal."""

import argparse
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.chaos import outages, victims
from tests.chaos.plan import kills
from tests.chaos.trial import Trial


def main() -> int:
    """0 where nothing was lost, counted twice or left open; 1, with what and the seed, otherwise."""
    options = _options()
    folder = Path(options.data or tempfile.mkdtemp(prefix="comet-chaos-")).resolve()
    print(f"Seed {options.seed}; data in {folder}", flush=True)
    trial = Trial(folder / "data", options.seed)
    killed: Counter[str] = Counter()
    with trial:
        _kill(trial, options.kills, killed)
        if options.outage:
            outages.all_of_them(trial, options.outage, _say)
        trial.settle()
        found = trial.compare()
    _report(trial, killed)
    for finding in found:
        print(f"WRONG: {finding}")
    if found:
        print(f"Seed {options.seed}; the data is kept in {folder}")
    else:
        print("Right: nothing that was acknowledged is lost or counted twice, and the books balance.")
        if not options.data:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if found else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", default=secrets.token_hex(4))
    parser.add_argument("--outage", type=float, default=60.0, help="seconds of each outage; 0 for none")
    parser.add_argument(
        "--data", help="a folder for the data, which is kept; otherwise it is kept where something is wrong"
    )
    return parser.parse_args()


def _kill(trial: Trial, count: int, killed: "Counter[str]") -> None:
    trial.load()
    for planned in kills(count, trial.seed):
        if not victims.kill(trial, planned):
            break
        killed[planned.kind] += 1
        if killed.total() % 10 == 0:
            _say(f"{killed.total()} kills, {len(trial.journal.charged):,} calls acknowledged")
    trial.unload()


def _report(trial: Trial, killed: "Counter[str]") -> None:
    journal = trial.journal
    kinds = ", ".join(f"{number} × {kind}" for kind, number in sorted(killed.items()))
    print(f"Kills: {killed.total()} ({kinds})")
    print(
        f"Acknowledged: {len(journal.charged):,} calls of {len(journal.sent):,} sent,"
        f" {sum(journal.charged.values()):,} nano-dollars; {journal.admitted:,} admitted by authorize"
    )
    print(f"Paid: {len(journal.paid)} top-ups; {len(journal.signed_up)} people signed up")
    print(
        f"Tried again: {journal.retries:,} times; longest without a good answer: {journal.longest_gap_s:.1f} s"
    )


def _say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
