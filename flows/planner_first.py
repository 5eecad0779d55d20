"""What the planner's page shows first, made before anybody looks, so that the first visitor does not wait for it."""

from __future__ import annotations

from flows.planner import Desk, Setting, open_bench
from flows.planner_controls import choice_field, set_field, setting_fields
from flows.planner_page import heading_html, one_html, overview_html, together_html
from flows.planner_sets import set_worth

__all__ = ["import_rest", "show_first"]


def show_first(study_file: str) -> None:
    """Count what a new tab counts; the answers are kept for all tabs (`flows.planner.open_bench`).

    Parameters
    ----------
    study_file : str
        The study.

    Raises
    ------
    JourneyliftError
        As on the page.
    """
    bench, desk = open_bench(study_file), Desk()
    heading_html(bench)
    chosen = choice_field(bench, desk).value
    overview_html(bench, chosen)
    if not chosen:
        return
    which = set_field(bench, desk, chosen).value
    setting_fields(bench, bench.setting(which, {}))
    one_html(bench, which, bench.setting(which, {}))
    together_html(bench, set_worth(bench, {name: Setting.of(bench.initiatives[name]) for name in chosen}))


def import_rest() -> None:
    """Import what the first view does without and a press of a button asks for: a solver, charts."""
    from flows import planner_funds, portfolio_section  # noqa: F401, PLC0415
    from models import funding_plan  # noqa: F401, PLC0415
