import subprocess
import sys
from pathlib import Path

import pytest

from features.errors import StoreError
from flows.unfinished import abandoned, noted

_DIES = """
import os, sys
from pathlib import Path
from flows.unfinished import noted
with noted(Path(sys.argv[1]), {"churn": {"history": "1"}}) as token:
    print(token, flush=True)
    os._exit(9)
"""


def _dead(folder: Path) -> str:
    """Let a process die within a note, and give its token."""
    ended = subprocess.run(
        [sys.executable, "-c", _DIES, str(folder)],
        cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 9, ended.stderr
    return ended.stdout.strip()


def test_a_note_is_gone_when_its_block_ends(tmp_path: Path) -> None:
    with noted(tmp_path / "open", {}) as token:
        assert [path.stem for path in (tmp_path / "open").iterdir()] == [token]
    assert list((tmp_path / "open").iterdir()) == []


def test_the_note_of_a_dead_process_is_found_once_with_what_it_says(tmp_path: Path) -> None:
    token = _dead(tmp_path)
    ((found, undo),) = [(one.token, one.undo) for one in abandoned(tmp_path)]
    assert (found, undo) == (token, {"churn": {"history": "1"}})
    assert list(abandoned(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_what_has_to_be_put_back_is_left_to_those_who_can(tmp_path: Path) -> None:
    _dead(tmp_path)
    assert list(abandoned(tmp_path, with_undo=False)) == []
    assert len(list(abandoned(tmp_path))) == 1


def test_the_note_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    with noted(tmp_path, {}):
        assert list(abandoned(tmp_path)) == []
        assert len(list(tmp_path.iterdir())) == 1


def test_a_note_stays_when_putting_right_fails(tmp_path: Path) -> None:
    _dead(tmp_path)
    for _ in abandoned(tmp_path):
        break
    assert len(list(abandoned(tmp_path))) == 1


def test_of_two_that_put_right_only_one_does(tmp_path: Path) -> None:
    _dead(tmp_path)
    for _ in abandoned(tmp_path):
        assert list(abandoned(tmp_path)) == []


def test_without_a_folder_nothing_is_noted() -> None:
    with noted(None, {}) as token:
        assert token == ""
    assert list(abandoned(None)) == []


def test_a_place_that_cannot_be_written_is_said_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "open").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written"), noted(tmp_path / "open", {}):
        pytest.fail("nothing may happen")
