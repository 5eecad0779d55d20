"""What the cells of notebooks show: the report's charts and tables as still HTML, light and dark, and which study.

Nothing here needs the network or a script: the same cell reads well in marimo, in its exports and in Jupyter.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, TypeVar

import marimo as mo

from features.contract import existing_contract
from features.errors import JourneyliftError, StoreError, StudyError, UnsupportedError
from flows.report_page import Block, Section, Table, figure, page_template
from flows.storage import Workspace, open_workspace

if TYPE_CHECKING:
    from flows.theme import Chart

__all__ = ["Need", "attempt", "open_study", "show", "study_field"]

Result = TypeVar("Result")

Need: TypeAlias = Literal["features", "touchpoints", "train", "explain"]
"""What a notebook reads: the panel, event tables beside it, trained models, drivers."""

DEMO: Final = Path("demo") / "study.yaml"
"""Where ``journeylift demo`` leaves its study."""


def study_field() -> mo.ui.text:
    """Ask which study; ``--study FILE`` on the command line answers first, then the demo."""
    given = mo.cli_args().get("study")
    return mo.ui.text(value=str(given or _demo()), label="Study", full_width=True)


def open_study(path: str, *needs: Need) -> Workspace:
    """Open a study for reading.

    Parameters
    ----------
    path : str
        Its study file.
    *needs : str
        What must have been made of it.

    Returns
    -------
    Workspace
        Nothing is written, also where there is no store yet.

    Raises
    ------
    StudyError
        There is no such study, or it is wrong.
    StoreError
        Something has not been made yet; the message names the command.
    UnsupportedError
        Touchpoints are needed and the study is a flat table.
    """
    file = Path(path).expanduser()
    if file == _demo() and not file.exists():
        raise StudyError(
            f"There is no demo at '{file}' yet. Make it with: journeylift demo --out {file.parent}. "
            "Or name a study of your own: --study FILE"
        )
    workspace = open_workspace(file, reads_only=True)
    if "touchpoints" in needs and workspace.study.is_flat:
        raise UnsupportedError(
            f"'{path}' is a flat table: it knows no journeys made of touchpoints. A study with event tables was "
            "expected. Flat studies can be read in 02_read_drivers.py and 03_validate_model.py."
        )
    if existing_contract(workspace.store.root) is None:
        raise StoreError(f"'{path}' has no panel yet. Run: journeylift features --study {path}")
    for need in needs:
        if need in {"train", "explain"} and not workspace.store.result(need).exists():
            told = "no trained models" if need == "train" else "no drivers"
            raise StoreError(f"'{path}' has {told} yet. Run: journeylift {need} --study {path}")
    return workspace


def attempt(make: Callable[[], Result]) -> Result:
    """Make something for a cell; where that fails for a reason of ours, say the one sentence and stop.

    Raises
    ------
    SystemExit
        In a notebook run as a script, after the sentence, with the exit code of the command line. In a page the
        sentence stands where the result would be, and the cells below wait.
    """
    try:
        return make()
    except JourneyliftError as error:
        if mo.app_meta().mode == "script":
            sys.stderr.write(f"{error.message}\n")
            raise SystemExit(error.exit_code) from None
        mo.stop(True, mo.callout(error.message, kind="warn"))  # noqa: FBT003 (positional only)
        raise


def show(*parts: Chart | Table | Block | Section | str) -> mo.Html:
    """Show charts, tables, parts of the report and sentences below each other.

    Parameters
    ----------
    *parts : Chart, Table, Block, Section or str
        A section is shown without its heading, which belongs to the notebook.

    Returns
    -------
    Html
        Without scripts; colours follow the page, light or dark. Text from a study is escaped.
    """
    blocks: list[Block] = []
    lead = ""
    for part in parts:
        if isinstance(part, Section):
            lead = lead or part.lead
            blocks.extend(part.blocks)
        else:
            blocks.append(_block(part))
    found = page_template("cell.html.j2").render(lead=lead, blocks=blocks, id=_id(str(blocks)))
    return mo.Html(found)


def _block(part: Chart | Table | Block | str) -> Block:
    if isinstance(part, Block):
        return part
    if isinstance(part, Table):
        return Block(table=part)
    if isinstance(part, str):
        return Block(sentences=(part,))
    title = str(part.to_dict().get("title", {}).get("text", ""))
    return Block(figure=figure(part, _id(part.to_json()), title))


def _id(content: str) -> str:
    """Give equal content equal ids, other content other ones: many cells share a page."""
    return f"j{hashlib.sha256(content.encode()).hexdigest()[:10]}"


def _demo() -> Path:
    """Find the demo in the working folder, or beside the code."""
    beside = Path(__file__).parents[1] / DEMO
    return DEMO if DEMO.exists() or not beside.exists() else beside
