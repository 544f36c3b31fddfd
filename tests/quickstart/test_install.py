import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "cometsite" / "quickstart" / "install.py"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that needs no package at all."""
    folder = tmp_path / "cometsite" / "quickstart"
    folder.mkdir(parents=True)
    shutil.copy(SCRIPT, folder)
    (tmp_path / "requirements.txt").write_text("# nothing\n")
    return tmp_path


def install(project: Path, *folder: str) -> tuple[int, str]:
    script = project / "cometsite" / "quickstart" / "install.py"
    command = [sys.executable, str(script), "requirements.txt", *folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_it_installs_once_again_after_a_change_and_anew_after_an_interruption(project: Path) -> None:
    assert "Creating .venv" in install(project)[1]
    assert install(project) == (0, "")
    (project / "requirements.txt").write_text("# still nothing\n")
    code, said = install(project)
    assert code == 0
    assert "Installed" in said
    assert "Creating" not in said
    half_a_package = project / ".venv" / "lib" / "half-a-package"
    half_a_package.touch()
    (project / ".venv" / "installation-unfinished").touch()
    assert "Creating .venv" in install(project)[1]
    assert not half_a_package.exists()


def test_a_folder_that_someone_else_made_is_left_alone(project: Path) -> None:
    (project / ".venv").mkdir()
    (project / ".venv" / "pyvenv.cfg").write_text("")
    code, said = install(project)
    assert code == 1
    assert (
        said.splitlines()[-1] == f"Error: {project}/.venv was not made by this project's make; move it away."
    )
    assert (project / ".venv" / "pyvenv.cfg").exists()


def test_an_environment_elsewhere_leaves_the_projects_alone(project: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "cache" / "gateway"
    assert "Creating gateway" in install(project, str(elsewhere))[1]
    assert (elsewhere / "bin" / "python").exists()
    assert not (project / ".venv").exists()
    assert install(project, str(elsewhere)) == (0, "")
