"""The benchmark measures, reports, proves its books, and leaves nothing behind. Not how fast anything is."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import plan
from bench.results import RATIOS, Ratio, Report, Sample
from tests.stack import PROJECT, clean_environment

pytestmark = pytest.mark.stack

QUICK = ("--wallets", "4", "--rounds", "1", "--seconds", "0.1")
SAMPLES = {
    "copy",
    "statement",
    "empty-1",
    "authorize-1",
    "limited-1",
    "spread",
    "single",
    "together-record",
    "together-authorize",
    "webhook",
    "webhook-paced",
    "page-empty",
    "page-again",
    "page-signed-in",
}


def bench(data_dir: Path, *arguments: str, within_s: float = 200) -> tuple[int, str, dict[str, Any]]:
    """Exit code, what it prints, and its report."""
    file = data_dir / "report.json"
    done = subprocess.run(
        [sys.executable, "-m", "bench", *QUICK, *arguments, "--json", str(file)],
        cwd=PROJECT,
        env=clean_environment(DATA_DIR=str(data_dir)),
        capture_output=True,
        text=True,
        check=False,
        timeout=within_s,
    )
    report = json.loads(file.read_text()) if file.exists() else {}
    return done.returncode, done.stdout + done.stderr, report


def test_a_run_measures_and_proves_its_books(tmp_path: Path) -> None:
    names = ["copy", "statement", "empty-1", "authorize-1", "limited-1", "spread", "single", "together"]
    names += ["webhook", "webhook-paced", "page-empty", "page-again", "page-signed-in"]
    code, output, report = bench(tmp_path, *names, "--growth", "20000")
    assert code == 0, output
    assert report["measured"].keys() == SAMPLES
    samples = [sample for found in report["measured"].values() for sample in found["rounds"]]
    assert all(sample["per_second"] > 0 for sample in samples)
    ratios = {ratio["title"]: ratio for ratio in report["ratios"]}
    assert ratios["Recording, all wallets : COPY"]["target"] == 0.15
    assert "| spread " in output
    assert report["growth"][-1]["calls"] == 20_000
    assert report["growth"][-1]["seal_seconds"] > 0
    assert [books["problems"] for books in report["books"]] == [[]] * (1 + len(report["growth"]))
    assert 0 < report["books"][0]["calls"] < 20_000 < report["books"][-1]["calls"]
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_the_log_is_measured_among_many_calls_and_among_few(tmp_path: Path) -> None:
    names = [
        "log-deep",
        "log-deep-few",
        "log-key",
        "keyset-deep",
        "count-offset-deep",
        "copy-out",
        "undisturbed",
    ]
    code, output, report = bench(tmp_path, "--logs", "20000", *names)
    assert code == 0, output
    assert report["measured"].keys() == set(names)
    titles = {ratio["title"]: ratio for ratio in report["ratios"]}
    assert titles["Log, page 20,000, p95"]["target"] == 50
    assert titles["Log, page 20,000 : with few calls, median"]["median"] > 0
    assert [books["problems"] for books in report["books"]] == [[]]
    assert report["books"][0]["calls"] > 20_000
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_name_that_nothing_has_is_refused(tmp_path: Path) -> None:
    code, output, _ = bench(tmp_path, "recrod")
    assert code == 2
    assert "'recrod'" in output
    code, output, _ = bench(tmp_path, "--logs", "20000", "spread")
    assert code == 2
    assert "'spread'" in output


def test_a_group_stands_for_its_members_and_no_name_for_all() -> None:
    assert plan.chosen(["record", "empty-8"]) == {"tpcb", "copy", "spread", "hot", "single", "empty-8"}
    assert plan.chosen([]) == plan.NAMES - plan.NAMED_ONLY


def test_every_ratio_is_of_something_measured() -> None:
    measured = plan.NAMES - {"together"} | {"together-record", "together-authorize"}
    measured |= plan.LOGS - {"disturbed"} | {"disturbed-record", "disturbed-pages"}
    measured |= {name.replace("-stream-", "-stream-first-") for name in plan.NAMED_ONLY}
    assert {name for ratio in RATIOS for name in ratio.needs} <= measured


@pytest.mark.parametrize(
    ("value", "at_most", "reached"), [(5, False, True), (4.9, False, False), (5.1, True, False)]
)
def test_a_target_is_reached_from_its_own_side(value: float, at_most: bool, reached: bool) -> None:
    assert Ratio("", (), lambda one: 0, 5, at_most=at_most).is_reached(value) is reached


def test_ratios_are_taken_round_by_round() -> None:
    report = Report(
        {}, rounds=[{"spread": Sample(10), "tpcb": Sample(2)}, {"spread": Sample(4), "tpcb": Sample(4)}]
    )
    [(ratio, spread)] = report.ratios()
    assert ratio.needs == ("spread", "tpcb")
    assert (spread.lowest, spread.median, spread.highest) == (1, 3, 5)
