"""Sliders and fields of the planner's page, and what they say as a setting."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any, Final

import marimo as mo

from features.errors import StudyError
from flows.cells import study_field
from flows.planner import Bench, Desk, Setting, cost_of
from flows.planner_sets import clashes
from flows.planner_told import is_out
from models.costs import COST_PARTS, Cost

__all__ = [
    "MOST_AT_FIRST", "VIEWS", "choice_field", "controls", "grid", "is_choice", "limit_fields", "numbers_of",
    "read_setting", "set_field", "setting_fields", "study_choice", "view_bar", "view_buttons", "view_mark",
]  # fmt: skip

MOST_MONTHS: Final = 36

MOST_AT_FIRST: Final = 12
"""Initiatives that are chosen when the page opens."""

VIEWS: Final = ("Try", "Compare", "Fund", "Save and export")

_COSTS: Final = {
    "once": "Cost once", "monthly": "Cost a month", "per_customer": "Cost per customer reached",
    "per_contact": "Cost per contact", "saved_monthly": "Saved a month",
}  # fmt: skip

_SHARES: Final = ("reach", "likely", "low", "high", "size")


def view_buttons(choose: Callable[[str], None]) -> mo.ui.array:
    """Make the buttons that choose which part of the page is shown.

    Notes
    -----
    Neither tabs nor radio buttons: inside marimo's components the arrow and Tab keys always go to the last of them.
    """
    return mo.ui.array([mo.ui.button(value=one, label=one, on_change=choose, full_width=True) for one in VIEWS])


def view_bar(buttons: mo.ui.array) -> mo.Html:
    """Lay the buttons out side by side."""
    cells = "".join(f'<div id="{_id(name)}">{one}</div>' for name, one in zip(VIEWS, buttons.elements, strict=True))
    return mo.Html(f'<nav aria-label="Parts of this page" class="journeylift-views">{cells}</nav>')


def view_mark(name: str) -> mo.Html:
    """Underline the button of the part that is shown, and say its name to those who cannot see the line."""
    style = f"#{_id(name)} {{ border-bottom-color: var(--foreground) !important; }}"
    hidden = "position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)"
    said = f'<h2 style="{hidden}">{name}</h2>'
    return mo.Html(f'<style>{style}</style><div role="status">{said}</div>')


def _id(name: str) -> str:
    return f"view-{name.split(' ', maxsplit=1)[0].lower()}"


def study_choice() -> mo.ui.dropdown | mo.ui.text:
    """Ask which study: among those given with ``--study``, or, where the page is not served by us, by its path."""
    given = mo.cli_args().to_dict()
    found = given.get("study")
    paths = [str(one) for one in (found if isinstance(found, list) else [found])]
    if "only" in given:  # visitors choose among these and open no other file of the machine
        return mo.ui.dropdown(paths, paths[0], label="Study", full_width=True)
    return study_field()


def is_choice(study: mo.ui.dropdown | mo.ui.text) -> bool:
    """Whether there is anything to choose: one study that is served needs no field."""
    return not isinstance(study, mo.ui.dropdown) or len(study.options) > 1


def choice_field(bench: Bench, desk: Desk) -> mo.ui.multiselect:
    """Ask which initiatives are looked at together; at first, those in support that pay and go together."""
    known = bench.choosable
    if desk.settings:
        chosen = [title for title, name in known.items() if name in desk.settings]
    else:
        first = _first_choice(bench)
        chosen = [title for title, name in known.items() if name in first]
    return mo.ui.multiselect(known, chosen, label="Initiatives in this scenario", full_width=True)


def _first_choice(bench: Bench) -> set[str]:
    """Choose by mean value, the best first: those that pay, fit to those before and have what they need; or the best.

    At most `MOST_AT_FIRST`, so that they can be read. What one needs comes along where it pays as well. Empty
    where none can be done as it was simulated.
    """
    means = {name: bench.mean_npv(name) for name in bench.initiatives if not is_out(bench, name)}
    means = means or {name: bench.mean_npv(name) for name in bench.initiatives}
    order = sorted(means, key=lambda one: (-means[one], one))
    chosen = set[str]()
    for name in order:
        wanted = _with_needs(bench, name)
        fits = len(chosen | wanted) <= MOST_AT_FIRST
        if fits and all(means.get(one, 0.0) > 0 for one in wanted) and not clashes(bench, chosen | wanted):
            chosen |= wanted
    alone = (wanted for name in order if not clashes(bench, wanted := _with_needs(bench, name)))
    return chosen or next(alone, set())


def _with_needs(bench: Bench, name: str) -> set[str]:
    """Name an initiative and all that it needs, as far as it was simulated."""
    found, ahead = {name}, [name]
    while ahead:
        more = {one for one in bench.initiatives[ahead.pop()].needs if one in bench.initiatives} - found
        found |= more
        ahead += more
    return found


def set_field(bench: Bench, desk: Desk, chosen: Sequence[str]) -> mo.ui.dropdown:
    """Ask which of the chosen initiatives is set; the one before, where it is still chosen."""
    known = {title: name for title, name in bench.choosable.items() if name in chosen}
    at = next((title for title, name in known.items() if name == desk.at), next(iter(known), None))
    return mo.ui.dropdown(known, at, label="Change this one", full_width=True)


_FIRST: Final = ("reach", "size", "likely", "start", "once", "monthly")
"""What stands in view; the rest is folded away."""


def controls(which: mo.ui.dropdown, fields: mo.ui.dictionary) -> mo.Html:
    """Lay out the sliders of one initiative: the most used ones, then the rest folded away."""
    first = [fields.elements[key] for key in _FIRST]
    rest = [one for key, one in fields.elements.items() if key not in _FIRST]
    more = mo.accordion({"More: range of what is delivered, months, other costs": grid(*rest)})
    return mo.vstack([which, grid(*first), more], gap=1)


def grid(*elements: object) -> mo.Html:
    """Lay fields out side by side, as many as there is room for."""
    cells = "".join(f"<div>{mo.as_html(one)}</div>" for one in elements)
    style = "display:grid;grid-template-columns:repeat(auto-fit,minmax(15rem,1fr));gap:.75rem 2rem;align-items:end"
    return mo.Html(f'<div style="{style}">{cells}</div>')


def setting_fields(bench: Bench, setting: Setting) -> mo.ui.dictionary:
    """Make the sliders of one initiative; `read_setting` reads them."""
    told = numbers_of(setting)

    def share(key: str, label: str, least: int = 0) -> mo.ui.slider:
        start = min(least, told[key])  # files may say less than can be set
        step = start if 0 < start < 1 else 1  # so that whole per cents can still be reached
        return mo.ui.slider(
            start, 100, step, value=told[key], label=f"{label}, %", include_input=True, full_width=True
        )  # fmt: skip

    def months(key: str, label: str) -> mo.ui.slider:
        most = max(MOST_MONTHS, int(told[key]))
        return mo.ui.slider(0, most, 1, value=told[key], label=label, include_input=True, full_width=True)

    fields: dict[str, Any] = {
        "reach": share("reach", "Reach: customers", 1),
        "size": share("size", "Size: share of the change", 5),
        "likely": share("likely", "Delivered, likely"),
        "low": share("low", "Delivered, low"),
        "high": share("high", "Delivered, high", 1),
        "start": months("start", "Starts in month"),
        "ramp": months("ramp", "Months until it is in full"),
        "lasts": months("lasts", "Lasts months; 0: for good"),
    }
    for part in COST_PARTS:
        label = f"{_COSTS[part]}, {bench.currency}"
        fields[part] = mo.ui.number(start=0, value=told[part], step=None, label=label, full_width=True)
    return mo.ui.dictionary(fields)


def numbers_of(setting: Setting) -> dict[str, float]:
    """Write a setting in the units of the page: per cent, months, likely amounts."""
    low, likely, high = setting.delivery
    shares = dict(zip(_SHARES, (setting.reach, likely, low, high, setting.size), strict=True))
    return {
        **{key: round(100 * one, 4) for key, one in shares.items()},
        "start": setting.start_month,
        "ramp": setting.ramp_months,
        "lasts": setting.lasts_months or 0,
        **{part: setting.cost.limits(part)[1] for part in COST_PARTS},
    }


def read_setting(given: Mapping[str, object], before: Setting, simulated: Cost) -> Setting:
    """Read what the page says.

    Parameters
    ----------
    given : mapping of str to object
        By key of `numbers_of`; keys left out are as before.
    before : Setting
        What the fields said when they were made: what was not touched stays as it is, to the last digit.
    simulated : Cost
        Of the initiative as simulated; ranges stay ranges.

    Raises
    ------
    StudyError
        Something is no number, or out of its range; all faults are listed.
    """
    told = numbers_of(before)
    said, faults = dict[str, float](), list[str]()
    for key, value in given.items():
        try:
            said[key] = _number(key, value, told[key])
        except StudyError as error:
            faults.append(error.message)
    if faults:
        raise StudyError.collect(faults)
    moved = {key: value for key, value in said.items() if value != told[key]}
    low, likely, high = before.delivery
    ends = {"low": low, "likely": likely, "high": high} | {
        key: moved[key] / 100 for key in ("low", "likely", "high") if key in moved
    }
    # Who moves the likely share alone takes the ends along where it passes them.
    ends |= {} if "low" in moved else {"low": min(ends["low"], ends["likely"])}
    ends |= {} if "high" in moved else {"high": max(ends["high"], ends["likely"])}
    if not ends["low"] <= ends["likely"] <= ends["high"]:
        shown = ", ".join(f"{key} {100 * value:g} %" for key, value in ends.items())
        raise StudyError(f"Delivered: {shown}. Expected low, then likely, then high. Move one of the three.")
    costs: dict[str, float] = {part: moved[part] for part in COST_PARTS if part in moved}
    lasts = moved.get("lasts", before.lasts_months or 0)
    return replace(
        before,
        reach=moved["reach"] / 100 if "reach" in moved else before.reach,
        size=moved["size"] / 100 if "size" in moved else before.size,
        delivery=(ends["low"], ends["likely"], ends["high"]),
        start_month=int(moved.get("start", before.start_month)),
        ramp_months=int(moved.get("ramp", before.ramp_months)),
        lasts_months=int(lasts) or None,
        cost=_moved_cost(before.cost, costs, simulated),
    )


def _number(key: str, value: object, told: float) -> float:
    """Read a number within its limits; what was told before is always within."""
    least, most, unit = _LIMITS.get(key, (0.0, float("inf"), ""))
    least, most = min(least, told), max(most, told)
    expected = f"{least:g} to {most:g}{unit}" if isfinite(most) else f"an amount of {least:g} or more"
    try:
        found = float(str(value))
    except ValueError:
        found = float("nan")
    if not least <= found <= most or not isfinite(found):
        raise StudyError(f"{key} is '{str(value)[:40]}'. Expected {expected}. Write it as a number.")
    return found


_LIMITS: Final = {
    "reach": (1.0, 100.0, " %"), "size": (5.0, 100.0, " %"), "likely": (0.0, 100.0, " %"),
    "low": (0.0, 100.0, " %"), "high": (1.0, 100.0, " %"), "start": (0.0, 600.0, " months"),
    "ramp": (0.0, 600.0, " months"), "lasts": (0.0, 600.0, " months"),
}  # fmt: skip


def _moved_cost(before: Cost, moved: Mapping[str, float], simulated: Cost) -> Cost:
    """Write the parts that were moved anew; the others stay as they are, ranges too."""
    anew = cost_of(moved, simulated)
    return before.model_copy(update={part: getattr(anew, part) for part in moved})


def limit_fields(bench: Bench, desk: Desk) -> mo.ui.dictionary:
    """Ask for budget, cash, capacities and appetite; empty fields set no limit."""
    funding = desk.funding(bench)
    used = sorted({resource for one in bench.initiatives.values() for resource in one.capacity})
    names = bench.choosable
    by_name = {name: title for title, name in names.items()}

    def amount(label: str, value: float | None) -> mo.ui.text:
        shown = "" if value is None else f"{value:,.12g}"
        return mo.ui.text(value=shown, placeholder="no limit", label=label, full_width=True)

    def those(label: str, chosen: Sequence[str]) -> mo.ui.multiselect:
        kept = [by_name[one] for one in chosen if one in by_name]
        return mo.ui.multiselect(names, kept, label=label, full_width=True)

    return mo.ui.dictionary(
        {
            "budget": amount(f"Budget, {bench.currency}", funding.budget),
            "cash": amount(f"Money at hand, {bench.currency}", funding.cash),
            "aversion": mo.ui.slider(
                0, 100, 5, value=100 * funding.aversion, include_input=True, full_width=True,
                label="Weight of bad outcomes, %",
            ),
            "must": those("Must be done", funding.must),
            "never": those("Must not be done", funding.never),
            **{f"capacity {one}": amount(_plain(one), funding.capacity.get(one)) for one in used},
        }
    )  # fmt: skip


def _plain(resource: str) -> str:
    """Label a resource: marimo reads Markdown, and names are letters, digits, - and _."""
    return f"Capacity: {resource.replace('_', ' ')}"
