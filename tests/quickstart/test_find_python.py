import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "cometsite" / "quickstart" / "find_python.sh"
BROKEN = "#!/bin/sh\necho 'version not installed' >&2\nexit 127\n"
OLD = '#!/bin/sh\ncase "$2" in *exit*) exit 1;; *version_info*) echo 3.11.2;; esac\n'


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    return tmp_path


def put(programs: Path, name: str, script: str | None = None) -> None:
    file = programs / name
    if script is None:
        script = f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'
    file.write_text(script)
    file.chmod(0o755)


def find(programs: Path) -> tuple[int, str, str]:
    done = subprocess.run(
        ["/bin/sh", str(SCRIPT)], env={"PATH": str(programs)}, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def test_the_newest_that_runs_is_chosen_and_not_the_first_on_path(programs: Path) -> None:
    put(programs, "python3.13", BROKEN)
    put(programs, "python3.12")
    put(programs, "python3", OLD)
    assert find(programs) == (0, "python3.12", "")


def test_plain_python3_will_do_if_it_is_new_enough(programs: Path) -> None:
    put(programs, "python3")
    assert find(programs) == (0, "python3", "")


def test_one_sentence_names_what_was_found(programs: Path) -> None:
    put(programs, "python3.13", BROKEN)
    put(programs, "python3", OLD)
    code, name, sentence = find(programs)
    assert (code, name) == (1, "")
    assert sentence == (
        "Error: this project needs Python 3.12 or newer with its venv module; "
        "found: python3.13 which does not run, python3 which is 3.11.2."
    )


def test_no_python_at_all(programs: Path) -> None:
    assert find(programs)[2].endswith("found: no Python at all.")
