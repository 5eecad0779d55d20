import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from features import publish as module
from features.errors import StoreError
from features.publish import publish, recover, staged, sweep


def _fill(folder: Path, text: str, files: int = 3) -> Path:
    folder.mkdir(parents=True)
    for number in range(files):
        (folder / f"{number}.txt").write_text(text)
    return folder


def _texts(folder: Path) -> set[str]:
    return {path.read_text() for path in folder.iterdir()}


def _leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if ".tmp-" in path.name]


def _refuse(*_: object) -> bool:
    return False


def _write_half(folder: Path) -> None:
    with staged(folder) as tmp:
        (tmp / "half.txt").write_text("new")
        raise RuntimeError("stop")


@pytest.mark.parametrize("exchange", [module._exchange, _refuse], ids=["one step", "two renames"])
def test_a_published_folder_replaces_the_old_one_as_a_whole(
    tmp_path: Path, exchange: Callable[[Path, Path], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_exchange", exchange)
    _fill(tmp_path / "panel", "old", files=5)
    publish(_fill(tmp_path / "panel.tmp-1", "new"), tmp_path / "panel")
    assert _texts(tmp_path / "panel") == {"new"}
    assert [path.name for path in tmp_path.iterdir()] == ["panel"]


def test_a_block_that_fails_leaves_the_old_folder_and_nothing_else(tmp_path: Path) -> None:
    _fill(tmp_path / "panel", "old")
    with pytest.raises(RuntimeError, match="stop"):
        _write_half(tmp_path / "panel")
    assert _texts(tmp_path / "panel") == {"old"}
    assert _leftovers(tmp_path) == []


def test_a_folder_that_had_stepped_aside_is_put_back(tmp_path: Path) -> None:
    _fill(tmp_path / "panel.tmp-old", "old")
    recover(tmp_path / "panel")
    assert _texts(tmp_path / "panel") == {"old"}


def test_a_folder_that_steps_aside_is_never_beside_the_one_that_others_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the two renames, and after a death behind the second one, readers see each folder at most once."""
    workshop, scores = tmp_path / "unfinished", tmp_path / "scores"
    monkeypatch.setattr(module, "_exchange", _refuse)
    _fill(scores / "june", "old")
    seen: list[set[str]] = []
    rename = Path.rename

    def watched(path: Path, target: Path) -> Path:
        found = rename(path, target)
        seen.append({one.name for one in scores.iterdir()})
        return found

    monkeypatch.setattr(Path, "rename", watched)
    with staged(scores / "june", workshop=workshop) as tmp:
        (tmp / "0.txt").write_text("new")
    assert seen == [set(), {"june"}]
    assert _texts(scores / "june") == {"new"}
    assert list(workshop.iterdir()) == []


def test_what_stepped_aside_is_put_back_from_the_workshop_or_removed_behind_its_successor(tmp_path: Path) -> None:
    workshop, final = tmp_path / "unfinished", tmp_path / "scores" / "june"
    final.parent.mkdir()
    _fill(workshop / "june.tmp-old", "old")
    recover(final, workshop=workshop)
    assert _texts(final) == {"old"}
    _fill(workshop / "june.tmp-old", "older")
    recover(final, workshop=workshop)
    assert _texts(final) == {"old"}
    assert list(workshop.iterdir()) == []


def test_only_leftovers_of_dead_processes_are_swept(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    _fill(tmp_path / f"panel.tmp-{dead.pid}", "dead")
    _fill(tmp_path / f"panel.tmp-{os.getpid()}", "alive")
    _fill(tmp_path / f"other.tmp-{dead.pid}", "somebody else's")
    sweep(tmp_path / "panel")
    assert sorted(_leftovers(tmp_path)) == sorted([f"other.tmp-{dead.pid}", f"panel.tmp-{os.getpid()}"])


def test_a_place_that_cannot_be_written_is_a_store_error_that_says_why(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file is in the way")
    with pytest.raises(StoreError, match=r"store/panel' cannot be written: .*(exists|directory).* Correct"):  # noqa: SIM117
        with staged(tmp_path / "store" / "panel"):
            pytest.fail("nothing to write in")


_WRITER = """
import sys
from pathlib import Path
from features.publish import staged
for round in range(100_000):
    with staged(Path(sys.argv[1])) as tmp:
        for number in range(20):
            (tmp / f"{number}.txt").write_text(str(round))
"""


@pytest.mark.parametrize("seconds", [0.05, 0.11, 0.23])
def test_a_killed_process_leaves_a_whole_folder(tmp_path: Path, seconds: float) -> None:
    target = tmp_path / "panel"
    writer = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(target)],
        env=os.environ | {"PYTHONPATH": str(Path(module.__file__).parents[1])},
    )
    while not target.exists():
        time.sleep(0.01)
    time.sleep(seconds)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    recover(target)
    assert len(list(target.iterdir())) == 20
    assert len(_texts(target)) == 1
    with staged(target) as tmp:
        (tmp / "0.txt").write_text("after")
    assert _leftovers(tmp_path) == []
