import os
from pathlib import Path

import pytest

from cometsite.quickstart import StartError, commands, stamps
from cometsite.quickstart.folder import DataFolder


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    made = DataFolder(tmp_path / "data")
    made.prepare()
    return made


def test_a_second_start_on_the_same_folder_is_told_so(folder: DataFolder) -> None:
    held = folder.lock()
    with pytest.raises(
        StartError, match=f"running already on the data folder .* \\(process {os.getpid()}\\)"
    ):
        folder.lock()
    os.close(held)
    os.close(folder.lock())


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match=r"The data folder .*/file/data can't be used: Not a directory\."):
        DataFolder(tmp_path / "file" / "data").prepare()


def test_a_step_runs_again_only_when_something_changed(folder: DataFolder, tmp_path: Path) -> None:
    runs: list[str] = []
    source = tmp_path / "prices.json"
    for content in ("1", "1", "2"):
        source.write_text(content)
        stamps.unless_done(
            folder, "prices", stamps.digest_of([source]), lambda: runs.append(source.read_text())
        )
    assert runs == ["1", "2"]


def test_a_failed_step_runs_again(folder: DataFolder) -> None:
    def fail() -> None:
        raise StartError("no")

    with pytest.raises(StartError):
        stamps.unless_done(folder, "prices", "x", fail)
    runs: list[int] = []
    stamps.unless_done(folder, "prices", "x", lambda: runs.append(1))
    assert runs == [1]


@pytest.mark.parametrize("name", ["d" * 100, "with, comma", "with space"])
def test_a_path_that_no_socket_can_have_is_gone_around(name: str, tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / name)
    folder.prepare()
    sockets = commands.postgres_cluster(folder).sockets
    assert len(os.fsencode(sockets)) < commands.LONGEST_SOCKET_FOLDER
    assert commands.postgres_cluster(folder).sockets == sockets
    sockets.rmdir()
