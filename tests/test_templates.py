from pathlib import Path

import pytest
import yaml

from features.company_initiatives import initiatives_yaml
from features.errors import StoreError
from features.study import parse_study
from features.templates import CHANGES, INITIATIVES, STUDY, write_templates
from models.funding import Funding
from models.initiatives import Change
from models.plans_file import parse_plans


def test_the_study_template_is_a_study() -> None:
    study = parse_study(STUDY, "study.yaml")
    assert study.journey_names == ("onboarding", "billing", "support")


def test_the_initiatives_template_fits_the_study_template() -> None:
    initiatives = parse_plans(INITIATIVES, "initiatives.yaml", parse_study(STUDY, "study.yaml")).initiatives
    assert [item.name for item in initiatives] == ["faster-support", "first-contact-resolution"]


def test_files_to_start_from_name_every_way_to_change_something() -> None:
    ways = set(Change.model_fields) - {"journey", "measure", "touchpoint", "channel"}
    assert len(ways) == 7
    head = "\n".join(CHANGES)
    assert [way for way in ways if f"{way} (" not in head] == []
    assert INITIATIVES.startswith(head)
    assert initiatives_yaml(2_000).startswith(head)


def uncommented(text: str) -> str:
    """The file with its portfolio section taken out of comments."""
    head, section = text.split("# portfolio:")
    return head + "portfolio:" + section.replace("\n#   ", "\n  ")


def test_the_portfolio_section_is_right_once_its_comments_are_taken_away() -> None:
    funding = parse_plans(uncommented(INITIATIVES), "initiatives.yaml", parse_study(STUDY, "study.yaml")).portfolio
    assert (funding.budget, funding.cash, funding.must) == (300_000, 150_000, ("faster-support",))
    section = yaml.safe_load(uncommented(initiatives_yaml(2_000)))["portfolio"]
    assert Funding.model_validate(section) == Funding(budget=20_000, cash=6_000, aversion=0.3)


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
