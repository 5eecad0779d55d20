import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from features.errors import StoreError, StudyError, UnsupportedError
from flows import cells
from flows.cells import open_study, show
from flows.report_page import Block, Column, Section, table
from flows.theme import INK
from flows.validation_charts import versions_chart

ROOT = Path(__file__).parents[1]
DIFFERENCES = pd.DataFrame(
    {"fold": ["all"], "metric": ["log_loss"], "difference": [-0.01], "lo": [-0.02], "hi": [0.0], "n": [100]}
)


def test_a_chart_is_drawn_still_in_colours_that_the_page_decides() -> None:
    found = show(versions_chart(DIFFERENCES)).text
    assert found.count("<svg") == 1
    assert "<script" not in found
    assert f"var(--ink,{INK})" in found
    assert "Challenger beside champion" in re.findall(r'aria-label="([^"]+)"', found)[0]


def test_text_from_a_study_is_escaped() -> None:
    rows = pd.DataFrame({"name": ["<b>bold</b>"]})
    found = show(table("<i>", [Column("<u>", lambda row: row["name"])], rows), "1 < 2").text
    assert "&lt;b&gt;bold" in found
    assert "1 &lt; 2" in found
    assert "<b>" not in found
    assert "<i>" not in found


def test_a_section_is_shown_with_its_answer_and_without_its_heading() -> None:
    found = show(Section("here", "A question", "The answer.", (Block("A part", ("Told.",), items=("One.",)),))).text
    assert "A question" not in found
    assert [text for text in ("The answer.", "A part", "Told.", "One.") if text not in found] == []


def test_cells_of_one_page_share_no_ids() -> None:
    tables = [table(name, [Column("a", str)], pd.DataFrame({"a": [1]})) for name in ("one", "other")]
    ids = [set(re.findall(r'\bid="([^"]+)"', show(one).text)) for one in tables]
    assert ids[0]
    assert ids[0] & ids[1] == set()


@pytest.mark.parametrize("mode", [r":root \{([^}]*)\}", r"prefers-color-scheme: dark\) \{\s*:root \{([^}]*)\}"])
def test_notebooks_have_the_colours_of_the_report(mode: str) -> None:
    report = re.search(mode, (ROOT / "flows" / "report.html.j2").read_text(encoding="utf-8"))
    cell = (ROOT / "flows" / "style.html.j2").read_text(encoding="utf-8")
    light, dark = re.findall(r"\.journeylift \{([^}]*)\}", cell)[:2]
    assert report is not None
    wanted = dict(re.findall(r"--(\w+): (#\w+)", report[1]))
    found = dict(re.findall(r"--(\w+): (#\w+)", dark if "dark" in mode else light))
    assert found == {name: colour for name, colour in wanted.items() if name != "link"}


def test_a_study_is_opened_without_writing(copied: Callable[[bool], Path]) -> None:
    study = copied(True)
    before = sorted(study.parent.rglob("*"))
    assert open_study(str(study), "features", "touchpoints", "train", "explain").study.name == "northline"
    assert sorted(study.parent.rglob("*")) == before


def test_what_has_not_been_made_is_told_with_its_command(copied: Callable[[bool], Path]) -> None:
    study = copied(True)
    (study.parent / "store" / "results" / "explain.json").unlink()
    with pytest.raises(StoreError, match=rf"no drivers yet\. Run: journeylift explain --study {study}"):
        open_study(str(study), "explain")
    (study.parent / "store" / "results" / "train.json").unlink()
    with pytest.raises(StoreError, match=r"no trained models yet\. Run: journeylift train"):
        open_study(str(study), "train")


def test_a_study_without_a_store_is_told_and_gets_none(copied: Callable[[bool], Path]) -> None:
    study = copied(False)
    with pytest.raises(StoreError, match=r"no panel yet\. Run: journeylift features --study"):
        open_study(str(study))
    assert not (study.parent / "store").exists()


def test_without_a_demo_the_command_that_makes_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cells, "__file__", str(tmp_path / "flows" / "cells.py"))
    with pytest.raises(
        StudyError, match=r"no demo at 'demo/study.yaml' yet\. Make it with: journeylift demo --out demo"
    ):
        open_study("demo/study.yaml")


def test_a_flat_table_has_no_journeys_to_explore() -> None:
    with pytest.raises(UnsupportedError, match="is a flat table: it knows no journeys made of touchpoints"):
        open_study(str(ROOT / "examples" / "ibm_telco" / "study.yaml"), "touchpoints")
