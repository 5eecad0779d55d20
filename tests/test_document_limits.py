"""YAML from anywhere: it is values and nothing else, it is never larger than it looks, and it ends in a sentence."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from features.document_limits import MOST_BYTES, MOST_DEEP, too_much
from features.errors import StudyError
from features.marked import compose
from features.study import parse_study
from flows import cli
from flows.documents import read_document
from flows.scenarios import list_scenarios
from models.plans_file import parse_plans

STUDY = "study: tiny\nsources: {t: t.csv}\njourneys: [{name: use, stage: use}]\nflat: {from: t, churned: left}\n"

LAUGHS = "\n".join(["a0: &a0 [ha, ha]", *(f"a{at}: &a{at} [*a{at - 1}, *a{at - 1}]" for at in range(1, 60))])
MERGED = "\n".join(["m0: &m0 {k: 1}", *(f"m{at}: &m{at} {{<<: [*m{at - 1}, *m{at - 1}]}}" for at in range(1, 60))])

BOMBS = {
    "references": (LAUGHS, r"references \(\*name\) make it more than 100,000 values"),
    "merged keys": (MERGED, r"references \(\*name\) make it more than 100,000 values"),
    "depth": ("a: " + "[" * 60 + "]" * 60, f"more than {MOST_DEEP} deep. Write them flatter"),
    "depth beyond the stack": ("a: " + "[" * 1_000, f"more than {MOST_DEEP} deep. Write them flatter"),
    "base 60": ("a: 1" + ":59" * 100_000, r"a number or date of 300,001 characters \(line \d\)\. At most 100"),
    "length": ("a: b\n" + "#" * MOST_BYTES, r"the file holds 500,\d+ characters\. At most 500,000"),
    "objects": ('a: !!python/object/apply:os.system ["touch {file}"]', "could not determine a constructor for the tag"),
    "names": ("a: !!python/name:os.system", "could not determine a constructor for the tag"),
}  # fmt: skip

READERS: dict[str, Callable[[str], object]] = {
    "study": lambda text: parse_study(STUDY + text, "x.yaml"),
    "initiatives": lambda text: parse_plans(text, "x.yaml", parse_study(STUDY, "study.yaml")),
}


@pytest.mark.parametrize(
    ("bomb", "reader"), [*((bomb, "study") for bomb in BOMBS), *(("references", reader) for reader in READERS)]
)
def test_what_is_larger_than_it_looks_or_no_value_is_refused_at_once(bomb: str, reader: str, tmp_path: Path) -> None:
    text, told = BOMBS[bomb]
    planted = tmp_path / "planted"
    started = time.process_time()
    with pytest.raises(StudyError, match=told) as caught:
        READERS[reader](text.replace("{file}", str(planted)))
    assert time.process_time() - started < 10
    assert not planted.exists()
    assert str(caught.value).startswith("x.yaml:")
    assert "\n" not in str(caught.value)


def test_what_is_within_the_limits_is_read_with_its_references() -> None:
    marked = compose("a: &one {b: 1}\nc: [*one, *one]\nd: {<<: *one, e: 2}\n", "x.yaml")
    assert marked.value == {"a": {"b": 1}, "c": [{"b": 1}, {"b": 1}], "d": {"b": 1, "e": 2}}
    nested = compose("[" * MOST_DEEP + "]" * MOST_DEEP, "x.yaml").value
    for _ in range(MOST_DEEP - 1):
        assert isinstance(nested, list)
        (nested,) = nested
    assert nested == []


def test_values_that_no_number_could_count_are_refused_too() -> None:
    values = [yaml.SequenceNode("tag:yaml.org,2002:seq", [])]
    for _ in range(20_000):
        values.append(yaml.SequenceNode("tag:yaml.org,2002:seq", [values[-1], values[-1]]))
    assert "more than 100,000 values" in too_much(yaml.SequenceNode("tag:yaml.org,2002:seq", values))


def test_a_file_without_end_is_no_study(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    endless = tmp_path / "study.yaml"
    endless.symlink_to("/dev/zero")
    assert cli.main(["check", "--study", str(endless)]) == 2
    told = capsys.readouterr().err
    assert "'zero' is longer than 500,000 bytes. A YAML file written by hand was expected." in told
    assert told.count("\n") == 1


def test_line_ends_of_other_systems_are_line_ends(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"a: 1\r\nb: 2\rc: 3\n")
    assert read_document(tmp_path / "a.yaml") == "a: 1\nb: 2\nc: 3\n"


def test_a_scenario_that_is_a_bomb_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "bomb.yaml").write_text(LAUGHS, encoding="utf-8")
    (tmp_path / "huge.yaml").write_text("a: b\n" + "#" * MOST_BYTES, encoding="utf-8")
    scenarios, faults = list_scenarios(tmp_path, parse_study(STUDY, "study.yaml"))
    assert scenarios == ()
    assert [one[:22] for one in faults] == ["bomb.yaml: references ", "'huge.yaml' is longer "]
