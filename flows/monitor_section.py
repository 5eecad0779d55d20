"""Are the scores still right? The answer for a manager: verdicts by cutoff, what came true, and what moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from flows.monitor_charts import METRICS, promise_chart, verdict_strip
from flows.report_data import MonitorFound
from flows.report_page import Block, Column, Section, figure, table
from flows.wording import alike, dash, decimal, percent, plain, span, whole

__all__ = ["monitor_section", "read_monitor"]

_TITLE: Final = "Are the scores still right?"
_OPENINGS: Final = {
    "ok": "Yes, as far as can be told: the scores of {cutoff} are like those before",
    "watch": "Probably, but have a look: something about the scores of {cutoff} differs",
    "act": "No, something has to be done about the scores of {cutoff}",
}
_SHOWN: Final = 12
_ASPECTS: Final = {"size": "values larger or smaller", "missing": "missing more or less", "spread": "spread otherwise"}


def read_monitor(content: Mapping[str, Any]) -> MonitorFound:
    """Read what ``journeylift monitor`` has written into ``monitor.json``."""
    names = ("cutoff", "verdict", "reasons", "outcomes", "batches", "notes")
    features = pd.DataFrame(content["features"])
    if "words" not in features and len(features):  # a result of before
        features = features.assign(words=features["feature"])
    return MonitorFound(features=features, **{name: content[name] for name in names})


def monitor_section(found: MonitorFound | None) -> Section:
    """Answer whether the scores are still right."""
    if found is None:
        return Section("monitor", _TITLE, "Nobody has looked. Run journeylift monitor.")
    strip = verdict_strip(found.batches)
    told = ", ".join(f"{one['cutoff']}: {one['verdict'] or dash}" for one in found.batches[-_SHOWN:])
    drawn = figure(strip, "verdicts", f"Verdicts on scoring by cutoff: {told}.")
    reasons = tuple(f"{one['verdict'].capitalize()}: {one['text']}" for one in found.reasons)
    blocks = [Block(items=reasons, figure=drawn), *_outcome_blocks(found), *_feature_blocks(found)]
    if found.notes:
        blocks.append(Block("What this rests on", items=tuple(found.notes)))
    return Section("monitor", _TITLE, _lead(found), tuple(blocks))


def _lead(found: MonitorFound) -> str:
    opening = _OPENINGS[found.verdict].format(cutoff=found.cutoff)
    judged = [one for one in found.outcomes if not one.get("is_learned")]
    auc = [row for one in judged[-1:] for row in one["metrics"] if row["metric"] == "auc"]
    if not auc or auc[0]["value"] is None:
        return f"{opening}. No scored cutoff has outcomes yet that its model has not learned from."
    row, last = auc[0], judged[-1]
    write = alike(row["value"], row["lo"], row["hi"])
    promised = "" if row["promised"] is None else f", promised were {write(row['promised'])}"
    return (
        f"{opening}. Of the scores of {last['cutoff']} came true: AUC {write(row['value'])} (90 % interval "
        f"{span(row['lo'], row['hi'], write)}, n = {whole(last['n'])}){promised}."
    )


def _outcome_blocks(found: MonitorFound) -> list[Block]:
    if not found.outcomes:
        return []
    charts = [
        figure(promise_chart(found.outcomes, metric), f"promise-{metric}", f"{METRICS[metric]} by cutoff.")
        for metric in ("auc", "lift")
    ]
    columns = [
        Column("Cutoff", lambda row: str(row["cutoff"])),
        Column("Customers", lambda row: whole(row["n"]), "number"),
        Column("Left, expected", lambda row: percent(row["expected"], 1), "number"),
        Column("Left", lambda row: percent(row["rate"], 1), "number"),
        Column("Calibration slope", lambda row: _interval(row["slope"]), "number"),
        Column("Verdict", lambda row: str(row["verdict"]), "verdict"),
    ]
    rows = [
        {
            "cutoff": one["cutoff"],
            "n": one["n"],
            "expected": one["expected_rate"],
            "rate": one["churn_rate"],
            "slope": next((row for row in one["metrics"] if row["metric"] == "calibration_slope"), None),
            "verdict": one["verdict"] or "learned from",
        }
        for one in reversed(found.outcomes[-_SHOWN:])
        if one["n"]
    ]
    known = table("What came true of scored cutoffs, latest first, with 90 % intervals", columns, pd.DataFrame(rows))
    return [Block("Did earlier scores come true?", figure=charts[0], more=(charts[1],), table=known)]


def _interval(row: Mapping[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return dash
    write = alike(row["value"], row["lo"], row["hi"])
    return f"{write(row['value'])}\n{span(row['lo'], row['hi'], write)}"


def _feature_blocks(found: MonitorFound) -> list[Block]:
    if found.features.empty:
        return []
    is_moved = found.features["aspect"].fillna("").astype(str).ne("")
    rows = pd.concat([found.features[is_moved], found.features[~is_moved]]).head(_SHOWN)
    columns = [
        Column("Feature", lambda row: str(row["words"])),
        Column("PSI", lambda row: decimal(_number(row["psi"]), 2), "number"),
        Column("Usual below", lambda row: _limit(_number(row["psi_limit"])), "number"),
        Column("Mean, training", lambda row: plain(_number(row["reference_mean"])), "number"),
        Column("Mean, now", lambda row: plain(_number(row["mean"])), "number"),
        Column("Missing, training", lambda row: percent(_number(row["reference_missing_share"]), 1), "number"),
        Column("Missing, now", lambda row: percent(_number(row["missing_share"]), 1), "number"),
        Column("Moved", lambda row: _ASPECTS.get(str(row["aspect"]), "as usual")),
        Column("Column", lambda row: f"\n{row['feature']}"),
    ]
    note = (
        "PSI: population stability index, by custom small below 0.1 and large above 0.25. The verdict goes by how much "
        "the feature moves anyway from cutoff to cutoff."
    )
    moved = f"{int(is_moved.sum())} moved" if is_moved.any() else "none moved by more than usual"
    caption = f"The features furthest from those in training: {moved}"
    return [Block("What moved", table=table(caption, columns, rows, note))]


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _limit(value: float) -> str:
    return dash if not value < 10 else decimal(value, 2)
