"""The parts of a page: sections made of sentences, figures and tables, as text that the template escapes and sets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import jinja2
import pandas as pd
from markupsafe import Markup

from flows.wording import unbroken

if TYPE_CHECKING:
    from flows.theme import Chart

__all__ = ["Block", "Column", "Entry", "Figure", "Section", "Table", "figure", "page_template", "table"]

Kind = Literal["text", "number", "verdict"]


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart, and what it shows in a sentence for those who cannot see it."""

    svg: Markup
    alt: str


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column: its heading, how to write a row's cell, and how it is set.

    What a cell says after a line break stands below the number, in small print: its interval. In the first column it
    is a warning and gets a line of its own below the row.
    """

    title: str
    write: Callable[[pd.Series], str]
    kind: Kind = "text"


@dataclass(frozen=True, slots=True)
class Table:
    """A table as text; the first column names the row. Rows whose numbers are in `heads` stand above a group."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    heads: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Entry:
    """A term of the glossary and what it means here."""

    term: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Block:
    """Sentences, charts, table: one thing to understand. Any may be missing; `items` are read side by side."""

    title: str = ""
    sentences: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    figure: Figure | None = None
    more: tuple[Figure, ...] = ()
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A question and its answer.

    Attributes
    ----------
    anchor, title : str
        Its place in the page and its heading.
    lead : str
        The answer in a sentence; also shown at the top of the page.
    blocks : tuple of Block
        What it rests on.
    entries : tuple of Entry
        Terms, for the glossary.
    """

    anchor: str
    title: str
    lead: str
    blocks: tuple[Block, ...] = ()
    entries: tuple[Entry, ...] = ()


def figure(chart: Chart, name: str, alt: str) -> Figure:
    """Draw a chart for the page; `name` keeps its ids apart from those of other charts."""
    from flows.charts import to_svg  # noqa: PLC0415 (most pages of cards and tables draw nothing)
    from flows.theme import inline_svg  # noqa: PLC0415

    # The text in the drawing was escaped when it was drawn.
    return Figure(svg=Markup(inline_svg(to_svg(chart), name)), alt=alt)  # noqa: S704


def table(caption: str, columns: Sequence[Column], rows: pd.DataFrame | Iterable[pd.Series], note: str = "") -> Table:
    """Write a frame as text, row by row."""
    series = (row for _, row in rows.iterrows()) if isinstance(rows, pd.DataFrame) else rows
    cells = tuple(tuple(column.write(row) for column in columns) for row in series)
    return Table(caption=caption, columns=tuple(columns), rows=cells, note=note)


def page_template(name: str) -> jinja2.Template:
    """Load a page with escaping on and unknown names refused."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    strict = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=lambda part: unbroken(part) if type(part) is str else part,
    )  # fmt: skip
    return strict.get_template(name)
