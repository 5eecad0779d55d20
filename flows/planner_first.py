"""What the planner's page shows first, made before anybody looks, so that the first visitor does not wait for it."""

from __future__ import annotations

import threading
from typing import Final

from flows.planner import Desk, Setting, open_bench
from flows.planner_controls import choice_field, set_field, setting_fields
from flows.planner_page import heading_html, one_html, overview_html, said_html, together_html
from flows.planner_sets import set_worth

__all__ = ["import_rest", "show_first"]


_TURN: Final = threading.Lock()
"""Two that ask at once would both compute, and both wait longer."""

_PLACE: Final = """<style>
#journeylift-first { position: absolute; inset: 0; z-index: 40; min-height: 100%; padding: 1.75rem 1.5rem;
  background: #fff; box-sizing: border-box; }
#journeylift-first.dark { background: #181c1a; }
#journeylift-first > div { max-width: 1110px; margin: 0 auto; }
</style>"""


def show_first(study_file: str) -> str:
    """Count what a new tab counts; the answers are kept for all tabs (`flows.planner.open_bench`).

    Parameters
    ----------
    study_file : str
        The study.

    Returns
    -------
    str
        HTML of what is planned with and of the first answer; empty where nothing is chosen at first.

    Raises
    ------
    JourneyliftError
        As on the page.
    """
    with _TURN:
        return _counted(study_file)


def _counted(study_file: str) -> str:
    bench, desk = open_bench(study_file), Desk()
    heading = heading_html(bench)
    chosen = choice_field(bench, desk).value
    overview_html(bench, chosen)
    if not chosen:
        return ""
    which = set_field(bench, desk, chosen).value
    setting_fields(bench, bench.setting(which, {}))
    one = one_html(bench, which, bench.setting(which, {}))
    together_html(bench, set_worth(bench, {name: Setting.of(bench.initiatives[name]) for name in chosen}))
    coming = said_html("What can be moved, compared, funded and saved follows in a moment.")
    return f"{_PLACE}<div><h1>Plan initiatives</h1>{heading.text}{coming.text}{one.text}</div>"


def import_rest() -> None:
    """Import what the first view does without and a press of a button asks for: a solver, charts."""
    from flows import planner_funds, portfolio_section  # noqa: F401, PLC0415
    from models import funding_plan  # noqa: F401, PLC0415
