"""The documentation holds what the code says: every key with its default, every link, every exit code, every term."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from features import errors, scoring_rules, study
from features.study_rules import TABLE_COLUMNS
from flows.cli import app
from models import funding, initiatives, scenario_note

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "how-to" / "study.md"

SECTIONS: dict[str, type[BaseModel]] = {
    "study.yaml": study.Study,
    "sources": study.Source,
    "customers": study.Customers,
    "touchpoints": study.Touchpoints,
    "churn": study.Churn,
    "revenue": study.Table,
    "outcomes": study.Outcome,
    "journeys": study.Journey,
    "measures": study.Measure,
    "adjustment": study.Overrule,
    "snapshot": study.SnapshotGrid,
    "money": study.Money,
    "engine": study.Engine,
    "monitoring": study.Monitoring,
    "scoring": study.Scoring,
    "scoring.sink": scoring_rules.Sink,
    "schedule": study.Schedule,
    "flat": study.Flat,
    "initiatives.yaml": initiatives.Initiative,
    "changes": initiatives.Change,
    "cost": initiatives.Cost,
    "portfolio": funding.Funding,
    "scenario": scenario_note.ScenarioNote,
}
TERMS = (
    "touchpoint", "journey", "stage", "channel", "snapshot", "cutoff", "observation window", "gap", "horizon",
    "known_at", "at risk", "exposure", "outcome", "hazard", "censoring", "confounder", "mediator", "overlap",
    "estimand", "modified treatment policy", "shift", "influence function", "calibration", "lift", "Brier score",
    "driver", "association", "effect", "initiative", "reach", "delivery", "ramp", "portfolio", "ledger",
)  # fmt: skip


def pages() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])


def section(text: str, title: str) -> str:
    found = re.search(rf"^## `{re.escape(title)}`\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"docs/how-to/study.md has no section {title}"
    return found[1]


def rows(text: str) -> dict[str, str]:
    """Key to default of a table with the columns key, default, meaning."""
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", text, re.MULTILINE))


def shown(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True)
    if isinstance(default, BaseModel):
        return "see below"
    if default is None or default in ((), {}):
        return "none"
    if default == "" or isinstance(default, bool):
        return "empty" if default == "" else f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        return f"`[{', '.join(f'{one:g}' for one in default)}]`"
    return f"`{default:g}`" if isinstance(default, int | float) else f"`{default}`"


@pytest.mark.parametrize("title", SECTIONS)
def test_every_key_is_described_with_its_default_and_no_other_key_is(title: str) -> None:
    fields = SECTIONS[title].model_fields
    assert rows(section(REFERENCE.read_text(encoding="utf-8"), title)) == {
        field.alias or name: shown(field) for name, field in fields.items()
    }


def test_every_model_of_the_study_has_a_section() -> None:
    declared = {
        one
        for module in (study, scoring_rules, initiatives, funding, scenario_note)
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, BaseModel) and not one.__name__.startswith("_")
    }
    assert declared - {BaseModel} == set(SECTIONS.values()) | {study.Study}


@pytest.mark.parametrize("title", TABLE_COLUMNS)
def test_every_column_of_ours_is_named_in_the_section_of_its_table(title: str) -> None:
    text = section(REFERENCE.read_text(encoding="utf-8"), title)
    assert [name for name in TABLE_COLUMNS[title] if f"`{name}`" not in text] == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name} links to {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name} links to {link}"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_error_class_is_listed_with_its_exit_code() -> None:
    text = (DOCS / "how-to" / "errors.md").read_text(encoding="utf-8")
    for one in errors.JourneyliftError.__subclasses__():
        assert f"| {one.exit_code} | `{one.__name__}` |" in text


def test_every_term_is_in_the_glossary_with_a_source() -> None:
    text = (ROOT / "GLOSSARY.md").read_text(encoding="utf-8")
    entries = dict(re.findall(r"^\*\*(.+?)\*\*: (.+)$", text, re.MULTILINE))
    assert set(TERMS) <= set(entries)
    unsourced = [term for term, words in entries.items() if not re.search(r"\(.*\d{4}.*\)$|\(ours\)$", words)]
    assert unsourced == []


def test_every_command_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = [name for name in app if not name.startswith("-")]
    assert len(commands) >= 10
    assert [name for name in commands if f"`journeylift {name}`" not in text] == []


def test_every_file_that_contributors_are_sent_to_exists() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:features|models|flows|docs|tests)/[\w/.-]+)`", text)
    named += [f"tests/{name}" for name in re.findall(r"`(test_\w+\.py)`", text)]
    assert len(named) > 50
    assert [name for name in named if not (ROOT / name).exists()] == []
