import json
import os
from pathlib import Path

import pytest

from features.errors import StoreError, StudyError
from flows import storage

STUDY = """
study: tiny
sources: {t: t.csv}
journeys: [{name: use, stage: use}]
flat: {from: t, churned: left}
store: results here
"""


def test_a_workspace_is_the_study_its_folder_and_a_writable_store(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY, encoding="utf-8")
    workspace = storage.open_workspace(tmp_path / "study.yaml")
    assert workspace.study.name == "tiny"
    assert workspace.base == tmp_path
    assert workspace.store.root == tmp_path / "results here"
    assert list(workspace.store.root.iterdir()) == []


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda path: None, "There is no study at .* journeylift init"),
        (lambda path: path.mkdir(), "is a folder"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "not UTF-8"),
    ],
)
def test_a_study_that_cannot_be_read_is_one_clear_error(make: object, match: str, tmp_path: Path) -> None:
    make(tmp_path / "study.yaml")  # type: ignore[operator]
    with pytest.raises(StudyError, match=match):
        storage.open_workspace(tmp_path / "study.yaml")


def test_a_store_under_a_file_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot be written: Not a directory\. .* Correct permissions"):
        storage.open_store(tmp_path / "file" / "store")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="Permission denied"):
        storage.open_store(tmp_path / "store")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "result.json"
    storage.write_json(target, {"old": True})
    with pytest.raises(TypeError, match="not JSON serializable"):
        storage.write_json(target, {"new": object()})
    assert storage.read_json(target) == {"old": True}
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_a_file_that_cannot_be_replaced_is_a_store_error_without_leftovers(tmp_path: Path) -> None:
    (tmp_path / "result.json" / "in the way").mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot be written"):
        storage.write_bytes(tmp_path / "result.json", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]


def test_json_has_null_for_numbers_that_are_not_finite(tmp_path: Path) -> None:
    storage.write_json(tmp_path / "a.json", {"x": [float("nan"), float("inf"), 1.5], "y": {"z": (None, "ä")}})
    assert json.loads((tmp_path / "a.json").read_text("utf-8")) == {"x": [None, None, 1.5], "y": {"z": [None, "ä"]}}


def test_a_missing_result_is_none_and_a_broken_one_an_error(tmp_path: Path) -> None:
    assert storage.read_json(tmp_path / "none.json") is None
    for broken in ("{", "[1]"):
        (tmp_path / "b.json").write_text(broken)
        with pytest.raises(StoreError, match="not readable as JSON"):
            storage.read_json(tmp_path / "b.json")
