from pathlib import Path

import pytest

from features.errors import StoreError
from features.study import parse_study
from features.templates import INITIATIVES, STUDY, write_templates
from models.initiatives import parse_initiatives


def test_the_study_template_is_a_study() -> None:
    study = parse_study(STUDY, "study.yaml")
    assert study.journey_names == ("onboarding", "billing", "support")


def test_the_initiatives_template_fits_the_study_template() -> None:
    initiatives = parse_initiatives(INITIATIVES, "initiatives.yaml", parse_study(STUDY, "study.yaml"))
    assert [item.name for item in initiatives] == ["faster-support", "first-contact-resolution"]


def test_templates_are_written_into_a_new_folder(tmp_path: Path) -> None:
    paths = write_templates(tmp_path / "größe" / "new")
    assert [path.read_text(encoding="utf-8") for path in paths] == [STUDY, INITIATIVES]


@pytest.mark.parametrize("name", ["study.yaml", "initiatives.yaml"])
def test_nothing_is_overwritten_and_nothing_half_written(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(StoreError, match=rf"{name}' exists already and is not overwritten"):
        write_templates(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        write_templates(tmp_path / "file" / "inner")
