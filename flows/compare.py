"""Plans held against each other: runs, initiatives and files, by the same draws wherever that is possible."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from flows import console
from flows.compare_charts import outcome_title, writer
from flows.compare_page import answer_sentence, difference_sentences, render_comparison
from flows.compared_plans import Compared, differing, find_plans
from flows.plannable import refuse_flat
from flows.steps import flow, step
from flows.storage import Workspace, open_workspace, records, write_bytes, write_json
from flows.wording import chance, listed, span, whole
from models.combinations import MOST_ALL_PAIRS
from models.differences import Differences, differences
from models.outlooks import OUTCOMES

__all__ = ["compare"]


@flow(name="compare")
def compare(study_file: str, *, plans: Sequence[str], seed: int | None = None) -> None:
    """Hold two to six plans against the first.

    Parameters
    ----------
    study_file : str
        The study.
    plans : sequence of str
        Each an initiatives file, the id of a run in MLflow, or an initiative of the last simulation.
    seed : int, optional
        For files that have to be simulated; that of the last simulation, or 0, when left out.

    Raises
    ------
    StudyError, ModelError
        As `flows.compared_plans.find_plans`.
    UnsupportedError
        The study is a flat table: there are no months to count money over.
    """
    started = time.perf_counter()
    workspace = open_workspace(study_file)
    refuse_flat(workspace)
    found = find_plans(workspace, plans, seed)
    content = _content(workspace, found, hold_against(found))
    page = workspace.store.root / "compare.html"
    write_bytes(page, render_comparison(content).encode())
    write_json(workspace.store.result("compare"), content)
    _show(content)
    seconds, rows_in = time.perf_counter() - started, console.count(len(found), "plan")
    rows_out = console.count(len(content["differences"]), "difference")
    console.say(console.Closing("compare", rows_in, rows_out, seconds, str(page)).line())


@step("hold plans against the first")
def hold_against(found: Sequence[Compared]) -> Differences:
    """Count every plan, and the differences draw by draw."""
    with console.progress("compare") as tick:
        # One rule for all: a plan that counts more pairs than another would differ by that alone.
        counted, is_every = [], all(one.counts_every_pair for one in found)
        for number, one in enumerate(found):
            tick(f"counting {one.label}", number, len(found))
            counted.append(one.outlook(is_every=is_every))
        return differences(counted, [one.world for one in found], np.random.default_rng(15))


def _content(workspace: Workspace, found: Sequence[Compared], counted: Differences) -> dict[str, Any]:
    """Give the content of ``compare.json``."""
    plans = [
        {
            "label": one.label,
            "given": one.given,
            "kind": one.kind,
            "origin": one.origin,
            "initiatives": list(one.names),
            "months": one.surface.money.months,
            "customers": one.surface.cohort.customers,
            "seed": one.made_from.get("seed", ""),
            "p_best": p_best,
            "made_from": one.made_from,
        }
        for one, p_best in zip(found, counted.p_best, strict=True)
    ]
    return {
        "study": workspace.study.name,
        "currency": workspace.study.currency,
        "months": found[0].surface.money.months,
        "draws": counted.found[0].n,
        "warnings": list(_warnings(found)),
        "plans": plans,
        "differences": records(counted.to_frame()),
        "levels": records(counted.levels),
    }


def _warnings(found: Sequence[Compared]) -> tuple[str, ...]:
    """Say which plans are not counted alike, and what is to know of each."""
    told, first = [], found[0]
    for one in found[1:]:
        unlike = differing(first, one)
        if unlike:
            verb = "differs" if len(unlike) == 1 else "differ"
            told.append(
                f"“{one.label}” shares no draws with “{first.label}”: {listed(unlike)} {verb}. Their draws are taken "
                "as independent, so the interval of the difference is wider."
            )
        told += _unlike_money(first, one)
    if len({one.counts_every_pair for one in found}) > 1:
        told.append(
            f"One of the simulations has more than {MOST_ALL_PAIRS} initiatives, so of every plan only pairs are "
            "counted together whose overlap was estimated."
        )
    return tuple(dict.fromkeys([*told, *(note for one in found for note in one.notes)]))


def _unlike_money(first: Compared, one: Compared) -> list[str]:
    """Say where customers, horizon, months, margin or rate are not the same: sizes then differ by themselves."""
    pairs = [
        ("customers at risk", first.surface.cohort.customers, one.surface.cohort.customers),
        ("days of the horizon", first.surface.cohort.horizon_days, one.surface.cohort.horizon_days),
        ("months", first.surface.money.months, one.surface.money.months),
        ("margin", first.surface.money.margin, one.surface.money.margin),
        ("discount rate", first.surface.money.discount_rate, one.surface.money.discount_rate),
    ]
    unlike = [f"{what} {a:,g} and {b:,g}" for what, a, b in pairs if a != b]
    if not unlike:
        return []
    return [f"“{first.label}” and “{one.label}” are not counted alike: {listed(unlike)}."]


def _show(content: dict[str, Any]) -> None:
    """Show the answer, what to know of it, and the differences."""
    for warning in content["warnings"]:
        console.say(f"note: {warning}")
    console.say(answer_sentence(content))
    for sentence in difference_sentences(content):
        console.say(sentence)
    labels, currency = [one["label"] for one in content["plans"]], content["currency"]
    console.show_table(f"Each by itself, over {content['months']} months (90 %)", _levels(content, labels))
    rows = pd.DataFrame(content["differences"])
    shown = {
        "plan": [labels[plan] for plan in rows["plan"]],
        "outcome": [outcome_title(name) for name in rows["outcome"]],
        "difference (90 %)": [_told(row, currency) for row in content["differences"]],
        "better": [chance(p) for p in rows["p_better"]],
        "verdict": rows["verdict"],
        "draws": ["paired" if one else "independent" for one in rows["is_paired"]],
    }
    console.show_table(f"Less “{labels[0]}”; {whole(content['draws'])} draws", pd.DataFrame(shown))


def _levels(content: dict[str, Any], labels: Sequence[str]) -> pd.DataFrame:
    rows = {(row["plan"], row["outcome"]): row for row in content["levels"]}
    order = sorted(range(len(labels)), key=lambda plan: (-rows[plan, "npv"]["value"], plan))
    written = {
        outcome_title(name).lower(): [_told(rows[plan, name], content["currency"]) for plan in order]
        for name in OUTCOMES
    }
    best = [chance(content["plans"][plan]["p_best"]) for plan in order]
    return pd.DataFrame({"plan": [labels[plan] for plan in order], **written, "best of all": best})


def _told(row: dict[str, Any], currency: str) -> str:
    """Write a value with its interval."""
    write = writer(row["outcome"], currency)
    if row["lo"] == row["hi"]:
        return write(row["value"])
    return f"{write(row['value'])} ({span(row['lo'], row['hi'], write).replace(' points', '')})"
