"""The report: one HTML file that opens from disk, needs no network and no mouse, and prints."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

import pandas as pd

from features.errors import StoreError
from features.publish import sweep
from flows import report_sections as sections
from flows import wording
from flows.driver_section import association_section
from flows.glossary import glossary_section
from flows.monitor_section import monitor_section
from flows.portfolio_section import portfolio_section
from flows.premium_section import premium_section
from flows.report_data import Counter, DataHealth, ReportData, ReportHeader, health_of
from flows.report_page import Entry, Section, page_template

__all__ = [
    "Counter",
    "DataHealth",
    "ReportData",
    "ReportHeader",
    "health_of",
    "render_report",
    "tidied",
    "write_report",
]

_TEMPLATE = "report.html.j2"

_TEXT = frozenset(
    {
        "adjustment",
        "candidate",
        "change",
        "driver",
        "feature",
        "fold",
        "journey",
        "measure",
        "metric",
        "name",
        "outcome",
    }
    | {"churn_as_strong_as", "effect_reason", "effect_verdict", "placebo", "revenue_as_strong_as"}
    | {"better", "kind", "kind_reason", "level", "note", "reason", "title", "touchpoint", "unit", "verdict", "warning"}
)
"""Columns of result tables that hold text; all others hold numbers."""


_OF_CHURN: Final = frozenset({"worth", "effects", "initiatives", "quality", "premium", "portfolio"})
"""Sections that say nothing about a survey."""


def write_report(data: ReportData, path: Path) -> None:
    """Write the report to one self-contained file; the old file stays until the new one is whole.

    Parameters
    ----------
    data : ReportData
        The results; a part that is None becomes a sentence that says what to run.
    path : Path
        The file to write, in a folder that exists.

    Raises
    ------
    StoreError
        When the file cannot be written.

    Notes
    -----
    Everything that comes from the user (names, titles, reasons) is text: it is escaped and never runs. Nothing is
    loaded from anywhere: charts are inline SVG, the style sheet is inline, there is no script.
    """
    page = render_report(data)
    beside = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    sweep(path.with_name(f".{path.name}"))
    try:
        beside.write_text(page, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise StoreError(
            f"The report cannot be written to '{path}': {error.strerror}. "
            "A file in a folder that can be written to was expected. Give another path."
        ) from error


def render_report(data: ReportData) -> str:
    """Render the whole page as text."""
    data = tidied(data)
    parts: tuple[Section, ...] = (
        sections.worth_section(data),
        sections.effects_section(data),
        association_section(data),
        sections.initiatives_section(data),
        *(() if data.header.is_flat else (portfolio_section(data),)),
        sections.quality_section(data),
        *(() if data.monitor is None else (monitor_section(data.monitor),)),
        *(() if data.header.is_flat else (premium_section(data),)),
        sections.health_section(data),
        sections.methods_section(data),
        glossary_section(),
    )
    if data.header.is_flat:  # no months, hence no net present values: see simulate.json
        parts = tuple(part for part in parts if part.anchor not in {"worth", "initiatives"})
    title = f"{data.header.study}: what better journeys are worth"
    if data.header.is_survey:
        parts = tuple(part for part in parts if part.anchor not in _OF_CHURN)
        title = f"{data.header.study}: what goes along with its outcomes"
    return page_template(_TEMPLATE).render(
        header=data.header, title=title, facts=_facts(data.header), sections=parts, told=_told(parts, data)
    )


def tidied(data: ReportData) -> ReportData:
    """Read the tables as text and numbers, whatever they went through: None in JSON is NaN here, and no text is ''."""
    return replace(
        data,
        drivers=_typed(data.drivers),
        driver_notes=_typed(data.driver_notes),
        effects=_typed(data.effects),
        initiatives=_typed(data.initiatives),
        metrics=_typed(data.metrics),
        reliability=_typed(data.reliability),
    )


def _typed(found: pd.DataFrame | None) -> pd.DataFrame | None:
    """Make every column text or float."""
    if found is None:
        return None
    columns: dict[str, pd.Series] = {}
    for name in found.columns:
        values = found[name]
        if name in _TEXT:
            columns[name] = values.astype(object).where(values.notna(), "").map(str)
        else:
            columns[name] = pd.to_numeric(values).astype("float64")
    return pd.DataFrame(columns).reset_index(drop=True)


def _told(parts: tuple[Section, ...], data: ReportData) -> tuple[Section, ...]:
    """Sections whose answer is repeated at the top of the page."""
    told = {"worth", "effects", "quality", "health"}
    told |= {
        name
        for name, found in (("premium", data.premium), ("portfolio", data.portfolio), ("monitor", data.monitor))
        if found is not None
    }
    return tuple(part for part in parts if part.anchor in told)


def _facts(header: ReportHeader) -> tuple[Entry, ...]:
    """Choose the few numbers that say what the report is about; what it was made from is told with the methods."""
    facts = (
        Entry("Customers", wording.whole(header.customers)),
        Entry(
            f"Leave within {header.horizon_days} days",
            "" if header.is_survey else wording.percent(header.churn_rate, 1),
        ),
        Entry("Data", f"{header.data_start} to {header.data_end}" if header.data_start else ""),
        Entry("Money counted over", "" if header.is_survey else f"{header.months} months"),
        Entry("Made", header.made_at),
    )
    return tuple(fact for fact in facts if fact.meaning)
