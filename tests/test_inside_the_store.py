"""A study cannot write outside of its store, and nothing outside is removed through a link inside of it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from features.errors import StoreError, StudyError
from features.publish import publish, recover, staged, sweep
from features.snapshot import parse_date
from features.sources import connected
from features.study import Engine, parse_study
from flows import cli
from flows.interrupted import remembered
from flows.scenarios import FOLDER, scenario_file
from flows.storage import Store, open_workspace, write_bytes

STUDY = """
study: {study}
store: {store}
sources: {{t: t.csv}}
journeys: [{{name: {journey}, stage: use}}]
outcomes: [{{from: t, name: {outcome}, kind: event}}]
flat: {{from: t, churned: left}}
"""
OUTSIDE = (
    "../../etc", "/etc", "..", "a/../../b", "C:\\\\x", "..\\\\x", "\\\\\\\\host\\\\x", ".", "''", "~root/../..",
)  # fmt: skip


def study(**said: str) -> str:
    names = {"study": "tiny", "store": "store", "journey": "use", "outcome": "review"} | said
    return STUDY.format(**{key: value if value == "''" else f'"{value}"' for key, value in names.items()})


@pytest.mark.parametrize("store", OUTSIDE)
def test_a_store_outside_of_the_studys_folder_is_refused(store: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "study.yaml").write_text(study(store=store), encoding="utf-8")
    with pytest.raises(StudyError, match=r"study\.yaml:3: store: .* leaves the folder of the study"):
        open_workspace(tmp_path / "in" / "study.yaml")
    assert sorted(one.name for one in tmp_path.rglob("*")) == ["in", "study.yaml"]


@pytest.mark.parametrize("name", ["..", "../x", "a/b", "/etc", "a\\\\b", "x\\0y", "con:"])
@pytest.mark.parametrize("what", ["study", "outcome"])
def test_names_that_become_folders_or_files_hold_no_path(what: str, name: str) -> None:
    if what == "outcome" and name == "..":
        pytest.skip("a file of an outcome is called 'outcomes.' and its name, so dots lead nowhere")
    with pytest.raises(StudyError, match=r"study\.yaml:"):
        parse_study(study(**{what: name}), "study.yaml")


def test_names_of_scenarios_stay_in_their_folder(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    for name in ("../../etc/passwd", "/etc/passwd", "..", ".", "a\\b", "con", "x\x00y", "a\nb", "~", "$HOME"):
        assert scenario_file(folder, name).parent == folder


@pytest.mark.parametrize("cutoff", ["../../x", "2024-01-01/../../x", "2024-01-01\n", "/etc", ""])
def test_a_cutoff_is_a_date_and_no_path(cutoff: str) -> None:
    with pytest.raises((ValueError, StudyError), match=r"is not a date|Invalid isoformat"):
        parse_date(cutoff)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """What somebody else's folder holds."""
    folder = tmp_path / "outside"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "precious.txt").write_text("theirs", encoding="utf-8")
    (folder / "0123456789abcdef").mkdir()
    (folder / "0123456789abcdef.npz").write_text("theirs", encoding="utf-8")
    return folder


def contents(folder: Path) -> dict[str, str]:
    return {str(one.relative_to(folder)): one.read_text("utf-8") if one.is_file() else "" for one in folder.rglob("*")}


def dead() -> int:
    """Number of a process that lives no more."""
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return child


def swept(store: Path, outside: Path) -> None:
    (store / f"panel.tmp-{dead()}").symlink_to(outside)
    (store / "panel.tmp-old").symlink_to(outside)
    (store / "panel").mkdir()
    sweep(store / "panel")


def published_over_a_link(store: Path, outside: Path) -> None:
    (store / "panel").symlink_to(outside)
    with staged(store / "panel") as folder:
        (folder / "new.txt").write_text("ours", encoding="utf-8")
    assert (store / "panel" / "new.txt").exists()
    assert not (store / "panel").is_symlink()


def published_with_a_link_inside(store: Path, outside: Path) -> None:
    (store / "panel").mkdir()
    (store / "panel" / "link").symlink_to(outside)
    (store / "new").mkdir()
    publish(store / "new", store / "panel")
    assert not (store / "panel" / "link").exists()


def recovered(store: Path, outside: Path) -> None:
    (store / "panel.tmp-old").symlink_to(outside)
    recover(store / "panel")
    with staged(store / "panel"):
        pass


def training_remembered(store: Path, outside: Path) -> None:
    Store(store).training.symlink_to(outside)
    remembered(Store(store).training, {"a": 1})


def training_with_a_link_inside(store: Path, outside: Path) -> None:
    Store(store).training.mkdir()
    (Store(store).training / "fedcba9876543210").symlink_to(outside)
    remembered(Store(store).training, {"a": 1})
    kept = remembered(Store(store).training, {"b": 1})
    kept.folder.symlink_to(outside)
    kept.forget()


def written_over_a_link(store: Path, outside: Path) -> None:
    (store / "report.html").symlink_to(outside / "deep" / "precious.txt")
    write_bytes(store / "report.html", b"ours")
    assert (store / "report.html").read_bytes() == b"ours"


CHANGES = (
    swept, published_over_a_link, published_with_a_link_inside, recovered, training_remembered,
    training_with_a_link_inside, written_over_a_link,
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_what_a_link_leads_to_is_neither_removed_nor_written(
    tmp_path: Path, outside: Path, change: Callable[[Path, Path], None]
) -> None:
    store, before = tmp_path / "store", contents(outside)
    store.mkdir()
    change(store, outside)
    assert contents(outside) == before


def test_folders_of_others_in_the_folder_of_trainings_stay(tmp_path: Path) -> None:
    (tmp_path / "my data").mkdir()
    (tmp_path / "0123456789abcdef").mkdir()
    remembered(tmp_path, {"a": 1})
    assert [one.name for one in tmp_path.iterdir()] == ["my data"]


def test_rows_are_not_spilled_through_a_link_that_somebody_has_planted(tmp_path: Path, outside: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / f"journeylift-spill.tmp-{os.getpid()}").symlink_to(outside)
    with (
        pytest.raises(StoreError, match=r"'journeylift-spill\.tmp-\d+' in it belongs to somebody else"),
        connected(tmp_path / "store", Engine(spill=str(shared))),
    ):
        pass
    assert (outside / "deep" / "precious.txt").exists()
    shutil.rmtree(shared)
    with connected(tmp_path / "store", Engine(spill=str(shared))):
        (spill,) = shared.iterdir()
        assert spill.stat().st_mode & 0o077 == 0


def test_the_command_line_ends_with_the_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "study.yaml").write_text(study(store="../out"), encoding="utf-8")
    assert cli.main(["check", "--study", str(tmp_path / "study.yaml")]) == 2
    assert "Expected a folder inside it, such as 'store'." in capsys.readouterr().err
