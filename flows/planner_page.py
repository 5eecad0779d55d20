"""What the planner's page shows: plain HTML made of cards, bars and tables, drawn anew in milliseconds.

No script, no request; every text of a study or scenario is escaped by the template.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from math import isnan
from typing import Any, Final

import jinja2
import marimo as mo
import numpy as np
import pandas as pd

from flows.planner import Bench, Setting
from flows.planner_sets import Range, SetWorth
from flows.planner_told import is_out, told_of
from flows.planner_words import advice, changed_words, driver_name, overlap_sentence, surface_sentence
from flows.report_page import page_template
from flows.wording import chance, dash, decimal, label, money, money_short, points, span, whole
from models.simulation import Worth

__all__ = ["alone_html", "comparison_html", "heading_html", "one_html", "overview_html", "said_html", "together_html"]

_EMPTY: Final[dict[str, Any]] = dict.fromkeys(
    ("title", "answer", "why", "meters", "bars", "path", "table", "live"), None
) | dict.fromkeys(("facts", "warnings", "sentences", "cards", "notes"), ())

_MOST_BARS: Final = 6


@cache
def _template() -> jinja2.Template:
    return page_template("planner.html.j2")


def _shown(**parts: Any) -> mo.Html:
    return mo.Html(_template().render(**(_EMPTY | parts)))


def said_html(*sentences: str, warnings: Sequence[str] = ()) -> mo.Html:
    """Show sentences, and warnings above them."""
    return _shown(sentences=sentences, warnings=tuple(warnings))


def heading_html(bench: Bench) -> mo.Html:
    """Say what is planned with, and what has changed since it was simulated."""
    on, study = bench.surface, bench.workspace.study
    facts = (
        f"Study: {study.name}",
        f"{whole(on.cohort.customers)} customers at risk",
        f"Churn over {on.cohort.horizon_days} days, money over {bench.months} months, in {bench.currency}",
        f"{len(bench.initiatives)} initiatives simulated, {len(bench.stored.refusals)} refused",
        "All intervals: 90 %",
    )
    return _shown(facts=facts, warnings=bench.notes)


def one_html(bench: Bench, name: str, setting: Setting) -> mo.Html:
    """Say what one initiative is worth as it is set, beside what it was worth as simulated."""
    one, before = bench.worth(name, setting), bench.worth(name, Setting.of(bench.initiatives[name]))
    is_moved = setting != Setting.of(bench.initiatives[name])
    answer, why = advice(one, bench.currency)
    moved = changed_words(setting, Setting.of(bench.initiatives[name]), bench.currency)
    return _shown(
        title=one.initiative.label,
        answer=answer,
        why=why,
        sentences=tuple(filter(None, (f"Changed: {moved}." if moved else "", _undone(bench, name)))),
        cards=_cards(bench, one, before if is_moved else None),
        path=_path(one, bench.currency),
        bars=_bars(one, bench.currency),
        notes=surface_sentence(setting, bench.initiatives[name]),
        live=True,
    )


def _undone(bench: Bench, name: str) -> str:
    """Say how strong a hidden cause had to be to undo the effect on churn."""
    row = bench.rows.get(name, {})
    times = row.get("churn_times_as_strong")
    if times is None or row.get("effect_verdict") not in {"likely", "possible"}:
        return ""
    covariate = label(row["churn_as_strong_as"])
    return f"Only a hidden cause {decimal(times, 1)} times as strong as {covariate} could undo the effect on churn."


def _cards(bench: Bench, one: Worth, before: Worth | None) -> list[dict[str, object]]:
    write = partial(money_short, currency=bench.currency)

    def card(title: str, draws: Any, was: Any, write: Callable[[float], str], *, wide: bool = False) -> dict[str, Any]:
        found = Range.of(draws)
        told = "" if was is None else f"as simulated {write(float(np.mean(was)))}"
        return _card(title, write(found.value), _ends(found, write), told) | {
            "wide": wide, "tone": _tone(found) if wide else "",
        }  # fmt: skip

    margin, churn = bench.surface.money.margin, one.churn
    chances = _card("Chance that it pays", chance(one.p_npv_positive), "of the draws",
                    f"as simulated {chance(before.p_npv_positive)}" if before else "") | {"wide": True}  # fmt: skip
    cards = [
        card("Net present value", one.npv, before and before.npv, write, wide=True),
        chances,
        _card(f"Churn in {bench.surface.cohort.horizon_days} days, points", points(churn.value),
              span(churn.lo, churn.hi, points), f"as simulated {points(before.churn.value)}" if before else ""),
        _card("Customers kept", whole(one.customers_retained), f"of {whole(bench.surface.cohort.customers)}",
              f"as simulated {whole(before.customers_retained)}" if before else ""),
    ]  # fmt: skip
    if margin:
        gained, was = (one.npv + one.cost) / margin, before and (before.npv + before.cost) / margin
        cards.append(card(f"Revenue over {bench.months} months", gained, was, write))
    cards.append(card("Cost, less savings", one.cost, before and before.cost, write))
    paid = dash if isnan(one.payback_months) else f"month {whole(one.payback_months)}"
    cards.append(_card("Paid back, on average", paid, "never within the plan" if paid == dash else "for good"))
    return cards


def _ends(found: Range, write: Callable[[float], str]) -> str:
    if write(found.lo) == write(found.hi):
        return "the same in every draw" if found.lo == found.hi else "hardly varies"
    return span(found.lo, found.hi, write)


def _card(title: str, value: str, below: str, was: str = "") -> dict[str, object]:
    return {"label": title, "value": value, "below": below, "was": was, "tone": "", "wide": False}


def _tone(found: Range) -> str:
    return "good" if found.lo > 0 else "bad" if found.hi < 0 else ""


def _path(one: Worth, currency: str) -> dict[str, object]:
    """Draw money earned less money spent so far, month by month."""
    so_far = np.cumsum(one.path.balance)
    low, high = min(0.0, float(so_far.min())), max(0.0, float(so_far.max()))
    room, x0, x1 = (high - low) or 1.0, 6, 360
    across = x0 + (x1 - x0) * np.arange(len(so_far)) / max(len(so_far) - 1, 1)
    down = 165 - 145 * (so_far - low) / room
    write = partial(money_short, currency=currency)
    end, zero = write(float(so_far[-1])), round(165 - 145 * (0 - low) / room, 1)
    marks = [
        {"x": x0, "y": 194, "anchor": "start", "text": "decision"},
        {"x": x1, "y": 194, "anchor": "end", "text": f"month {len(so_far) - 1}"},
        {"x": x1 + 10, "y": round(float(down[-1]) + 4, 1), "anchor": "start", "text": end},
    ]
    if abs(zero - float(down[-1])) > 14:
        marks.append({"x": x1 + 10, "y": zero + 4, "anchor": "start", "text": "0"})
    lowest = int(so_far.argmin())
    if so_far[lowest] < 0 and 4 < lowest < len(so_far) - 8:
        text = f"lowest {write(float(so_far[lowest]))}"
        marks.append({"x": round(float(across[lowest]), 1), "y": 181, "anchor": "middle", "text": text})
    return {
        "title": "Money earned less money spent, so far", "x0": x0, "x1": x1, "zero": zero, "marks": marks,
        "alt": f"Mean of the draws, not discounted: {end} after {len(so_far) - 1} months, lowest "
               f"{write(float(so_far.min()))} in month {lowest}.",
        "points": " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=True)),
        "end": {"x": round(float(across[-1]), 1), "y": round(float(down[-1]), 1)},
    }  # fmt: skip


def _bars(one: Worth, currency: str) -> dict[str, object] | None:
    """Draw what the interval hangs on, longest first."""
    if not one.bars:
        return None
    ends = [end for bar in one.bars for end in (bar.npv_at_low, bar.npv_at_high)]
    centre = one.bars[0].npv_at_mean
    low, high = min([*ends, centre]), max([*ends, centre])
    place = _places(low, high)
    rows = []
    for bar in one.bars[:_MOST_BARS]:
        first, last = sorted((bar.npv_at_low, bar.npv_at_high))
        title, below = driver_name(bar, currency)
        width, text = round(place(last) - place(first), 2), f"± {money_short(bar.swing / 2, currency)}"
        rows.append({"label": title, "below": below, "left": place(first), "width": width, "text": text})
    legend = "Net present value with one input from its 5\u00a0% to its 95\u00a0% quantile, the others at their means."
    return {"title": "What the value hangs on", "legend": legend, "rows": rows, "centre": place(centre)}


def _places(low: float, high: float) -> Callable[[float], float]:
    room = (high - low) or 1.0
    return lambda value: round(100 * (value - low) / room, 2)


def together_html(
    bench: Bench, found: SetWorth, settings: Mapping[str, Setting] | None = None, title: str = "All in this scenario"
) -> mo.Html:
    """Say what initiatives are worth together as they are set, and what is lost because they do the same work."""
    write = partial(money_short, currency=bench.currency)
    npv, lost, churn, cost = (Range.of(one) for one in (found.npv, found.lost, found.churn, found.cost))
    words = f"{len(found.names)} initiatives together" if len(found.names) > 1 else "This scenario"
    sure = f"Mean of the worst tenth of the draws: {write(found.worst)}."
    answer = f"{words}: {write(npv.value)} ({span(npv.lo, npv.hi, write)}), {chance(found.p_positive)} likely to pay."
    cards = [
        _card("Churn, points", points(churn.value), span(churn.lo, churn.hi, points)),
        _card("Customers kept", whole(found.kept), f"of {whole(bench.surface.cohort.customers)}"),
        _card("Cost, less savings", write(cost.value), _ends(cost, write)),
    ]
    if not np.isnan(found.revenue).all():
        gained = Range.of(found.revenue)
        cards.insert(
            2, _card(f"Revenue over {bench.months} months", write(gained.value), span(gained.lo, gained.hi, write))
        )
    if len(found.names) > 1:
        cards.append(_card("Together less the sum of each", write(lost.value), span(lost.lo, lost.hi, write)))
        sure += (
            " Some do the same for the same customers, so together they bring less than the sum: the last number."
            if lost.value < 0
            else " Who stays because of one also spends more because of the other: the last number."
        )
    unsure = [bench.initiatives[name].label for name in found.names if is_out(bench, name)]
    warnings = [f"“{one}” hardly lies within what was observed. Do not build on it." for one in unsure]
    is_overlapping = settings is not None and bench.overlapping(found.names)
    notes = overlap_sentence(settings, bench.initiatives) if settings is not None and is_overlapping else ()
    return _shown(title=title, answer=answer, why=sure, cards=cards, warnings=warnings, notes=notes)


def overview_html(bench: Bench, chosen: Sequence[str]) -> mo.Html:
    """Show every initiative as simulated, best first; what is out of support or refused greyed, with the reason."""
    write, names = partial(money_short, currency=bench.currency), list(bench.initiatives)
    ordered = sorted(names, key=lambda name: (is_out(bench, name), -bench.mean_npv(name), name))
    rows = [_overview_row(bench, name, name in chosen, write) for name in ordered]
    rows += [
        {"label": one.initiative.label, "tone": "out", "cells": (dash, dash, dash, "refused", one.reason)}
        for one in bench.stored.refusals
    ]
    table = {
        "caption": "All initiatives as simulated, best first; ● in this scenario, grey: not to be built on",
        "heads": ("Initiative", "Net present value", "Pays", "Churn, points", "Verdict", "Why"),
        "rows": rows, "numbers": 3, "scrolled": len(rows) > 15, "side": False,
    }  # fmt: skip
    beyond = [m.name.replace("_", " ") for m in bench.workspace.study.measures if m.control == "none"]
    notes = (f"Nobody in the firm controls: {', '.join(beyond)}. It is context, not a lever.",) if beyond else ()
    return _shown(title="What else could be done", table=table, notes=notes)


def _overview_row(bench: Bench, name: str, is_chosen: bool, write: Callable[[float], str]) -> dict[str, object]:  # noqa: FBT001
    told = partial(told_of, bench, name)
    cells = (
        f"{write(bench.mean_npv(name))}\n{span(told('npv_lo'), told('npv_hi'), write)}",
        chance(told("p_npv_positive")),
        f"{points(told('churn_effect'))}\n{span(told('churn_lo'), told('churn_hi'), points)}",
        told("verdict"),
        told("reason"),
    )
    tone = "out" if is_out(bench, name) else "chosen" if is_chosen else ""
    return {"label": bench.initiatives[name].label, "tone": tone, "cells": cells}


def alone_html(bench: Bench, sets: Mapping[str, SetWorth], warnings: Sequence[str]) -> mo.Html:
    """Show the first scenario by itself, where fewer than two can be counted, and say why."""
    if not sets:
        return said_html("Nothing that is chosen can be counted. Choose two scenarios or more.", warnings=warnings)
    name, found = next(iter(sets.items()))
    told = said_html(f"Only “{name}” is left, with nothing to compare it with. Choose another one.", warnings=warnings)
    return mo.vstack([told, together_html(bench, found, title=name)])


def comparison_html(rows: pd.DataFrame, members: Mapping[str, Sequence[str]], currency: str, months: int) -> mo.Html:
    """Show scenarios side by side: one column each, the first is what the others are compared with."""
    write, full = partial(money_short, currency=currency), partial(money, currency=currency)
    best, first = rows.iloc[int(rows["npv"].to_numpy().argmax())], rows.iloc[0]
    low, high = min(0.0, float(rows["npv_lo"].min())), max(0.0, float(rows["npv_hi"].max()))
    place = _places(low, high)
    meters = [
        {
            "label": row["scenario"], "below": f"{chance(row['p_npv_positive'])} likely to pay",
            "left": place(row["npv_lo"]), "width": round(place(row["npv_hi"]) - place(row["npv_lo"]), 2),
            "at": place(row["npv"]), "text": write(row["npv"]), "note": span(row["npv_lo"], row["npv_hi"], write),
            "tone": _tone(Range(row["npv"], row["npv_lo"], row["npv_hi"])),
        }
        for row in rows.to_dict("records")
    ]  # fmt: skip
    answer, why = f"“{best['scenario']}” is worth most on average: {full(best['npv'])}.", ""
    if rows["npv"].min() == rows["npv"].max():
        answer, why = "All of them are worth the same.", "Change something under Try, or load a saved scenario."
    elif best["scenario"] != first["scenario"]:
        why = (
            f"It beats “{first['scenario']}” by {full(best['difference'])} "
            f"({span(best['difference_lo'], best['difference_hi'], full)}), in {chance(best['p_better'])} of the draws."
        )
    if best["npv"] < 0:
        why = f"None of them pays on average. {why}"
    overlap = _ranged("overlap", write)
    lines: list[tuple[str, Callable[[dict[str, Any]], str]]] = [
        ("Initiatives", lambda row: "\n".join([str(row["initiatives"]), *members[row["scenario"]]])),
        ("Net present value", _ranged("npv", write)),
        ("Likely to pay", lambda row: chance(row["p_npv_positive"])),
        ("Mean of the worst tenth", lambda row: write(row["npv_worst"])),
        ("Churn, points", _ranged("churn", points)),
        ("Customers kept", lambda row: whole(row["customers_kept"])),
        (f"Revenue over {months} months", _ranged("revenue", write)),
        ("Cost, less savings", _ranged("cost", write)),
        ("Together less the sum of each", lambda row: dash if row["initiatives"] < 2 else overlap(row)),
        (f"Difference to “{first['scenario']}”", _ranged("difference", write)),
        ("Better than it, of the draws", lambda row: dash if isnan(row["p_better"]) else chance(row["p_better"])),
    ]
    told: list[dict[str, Any]] = [{str(key): value for key, value in row.items()} for row in rows.to_dict("records")]
    table = {
        "caption": f"Scenarios side by side, money in {currency} as present value, 90 % intervals below",
        "heads": ("Of each scenario", *(str(row["scenario"]) for row in told)),
        "rows": [{"label": title, "tone": "" if at else "list", "cells": [write_(row) for row in told]}
            for at, (title, write_) in enumerate(lines)
        ],
        "numbers": len(told), "scrolled": False, "side": True,
    }  # fmt: skip
    drawn = {"title": "Net present value", "legend": "dot: mean, line: 90 % interval, upright: zero",
             "rows": meters, "zero": place(0.0)}  # fmt: skip
    note = "All scenarios are counted with the same luck, so a difference is about the scenarios."
    return _shown(answer=answer, why=why, meters=drawn, table=table, notes=(note,), live=True)


def _ranged(column: str, write: Callable[[float], str]) -> Callable[[dict[str, Any]], str]:
    def cell(row: dict[str, Any]) -> str:
        value, lo, hi = row[column], row[f"{column}_lo"], row[f"{column}_hi"]
        return dash if isnan(value) else f"{write(value)}\n{_ends(Range(value, lo, hi), write)}"

    return cell
