"""The specification of the catalogue: a few contacts of one customer, and what each feature makes of them, by hand.

`python -m tests.feature_specs` writes docs/reference/features.md from it; a test fails while that page is stale.
"""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from features.engine import build
from features.facts import Recorded
from features.measures import Catalogue, Feature, Observed, catalogue
from features.outcomes import dated
from features.snapshot import DAY
from features.study import Study, parse_study

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "features.md"
CUTOFF = 100

STUDY = """
study: small
sources: {t: t.parquet}
customers: {from: t}
touchpoints: {from: t, repeat_days: 7}
churn: {from: t}
revenue: {from: t}
journeys:
  - {name: billing, stage: pay, leads_to: [support], ends_with: [receipt]}
  - {name: support, stage: help}
measures:
  - {name: wait, unit: min, kind: duration, direction: lower}
  - {name: resolved, unit: share, kind: share, direction: higher, task: true}
  - {name: failed, unit: share, kind: share, direction: lower}
  - {name: late, unit: days, kind: gap, direction: lower}
  - {name: promised, unit: days, kind: duration, direction: lower}
  - {name: reply, unit: days, kind: duration, direction: lower, promise: promised}
  - {name: outage, unit: h, kind: duration, direction: lower, control: none}
  - {name: rating, unit: points, kind: rating, direction: higher, response: voluntary, range: [0, 10]}
"""

TOUCHPOINTS = """
day journey case touchpoint channel department cause wait resolved failed late promised reply outage rating
 60 billing    1 invoice    mail    -          -        -        -      1    -        -     -      -      -
 62 support    2 call       phone   front      bill     4        0      -    -        2     3      -      8
 64 support    2 chat       web     back       bill    10        1      -    -        2     1      -      2
 69 support    3 call       phone   front      bill     -        0      -    2        -     -      5      -
 70 billing    1 receipt    mail    -          -        -        -      0    -        -     -      -      -
 96 support    4 call       phone   back       move     1        -      -   -1        -     -      -      -
 98 billing    5 invoice    mail    -          -        -        -      0    -        -     -      -      -
"""

PAYMENTS = [(10, 5.0), (60, 20.0), (80, -5.0)]
"""Day and amount."""

NAN = math.nan


class Spec(NamedTuple):
    """A feature and its value at day 100, window 180 days."""

    name: str
    value: float


def w(age: float) -> float:
    """Weight of what happened so many days before the cutoff."""
    return float(2 ** (-age / 30))


SPECS = tuple(
    Spec(name, value)
    for name, value in {
        "support__journeys_count__total": 3,
        "support__touchpoints_count__total": 4,
        "support__touchpoints_count__mean": 4 / 3,
        "support__touchpoints_count__decayed": w(38) + w(36) + w(31) + w(4),
        "support__repeats_count__total": 1,
        "support__duration_days__mean": 2 / 3,
        "support__last_contact_days__since": 4,
        "support__pause_days__mean": 2,
        "support__pause_days__worst": 2,
        "billing__pause_days__worst": 10,
        "support__interleaved_count__total": 0,
        "billing__interleaved_count__total": 1,
        "support__effort_steps__mean": (3 + 0 + 0) / 3,
        "support__switches_count__mean": 1 / 3,
        "support__handoffs_count__mean": 1 / 3,
        "support__asked_again_count__total": 1,
        "support__after_billing_count__total": 1,
        "support__open_count__total": 1,
        "support__open_days__worst": 31,
        "billing__open_count__total": 1,
        "billing__open_days__worst": 2,
        "support__trouble_share__mean": 2 / 4,
        "support__trouble_count__decayed": w(38) + w(31),
        "support__wait_min__mean": 5,
        "support__wait_min__last": 1,
        "support__wait_min__worst": 10,
        "support__wait_min__decayed": (4 * w(38) + 10 * w(36) + w(4)) / (w(38) + w(36) + w(4)),
        "support__wait_min__trend": 1 - (4 + 10) / 2,
        "support__wait_min__recent_worst": 1,
        "support__wait_min__burden": 4 * w(38) + 10 * w(36) + w(4),
        "support__resolved_share__mean": 1 / 3,
        "support__resolved_share__last": 0,
        "support__resolved_share__worst": 0,
        "support__resolved_share__trend": NAN,
        "support__resolved_share__final": (1 + 0) / 2,
        "support__resolved_share__burden": w(38) + w(31),
        "support__resolved_recovered_share__mean": 1 / 2,
        "support__resolved_success_share__mean": (0.5 + 0.5) / 2,
        "billing__failed_share__mean": 1 / 3,
        "billing__failed_share__final": 0,
        "billing__failed_share__burden": w(40),
        "support__late_days__mean": 0.5,
        "support__late_days__worst": 2,
        "support__late_days__trend": -1 - 2,
        "support__late_broken_share__mean": 1 / 2,
        "support__reply_promise_gap_days__mean": ((3 - 2) + (1 - 2)) / 2,
        "support__reply_promise_gap_days__worst": 1,
        "support__outage_h__mean": 5,
        "support__rating_points__mean": 5,
        "support__rating_points__last": 2,
        "support__rating_points__trend": NAN,
        "support__rating_answered_share__mean": 2 / 4,
        "support__rating_bad_though_resolved_share__mean": 1,
        "support__chat__wait_min__mean": 10,
        "support__call__touchpoints_count__total": 3,
        "customer__contacts_count__total": 7,
        "customer__contacts_count__recent": 2,
        "customer__contacts_share__recent": 2 / 7,
        "customer__last_contact_days__since": 2,
        "customer__stage_number__last": 1,
        "customer__journeys_count__distinct": 2,
        "customer__interleaved_count__total": 1,
        "customer__controlled_share__mean": 15 / 16,
        "customer__troubled_journeys_count__distinct": 2,
        "customer__trouble_count__decayed": w(40) + w(38) + w(31),
        "customer__resolved_success_share__worst": 0.5,
        "revenue_past": 20,
        "customer__revenue_eur__recent": -5,
        "customer__revenue_share__recent": -0.25,
        "customer__payments_count__total": 3,
        "customer__last_revenue_days__since": 20,
    }.items()
)
STUDY_READ: Study = parse_study(STUDY, "study.yaml")
_TEXTS = ("journey", "touchpoint", "channel", "department", "cause")


def touchpoints() -> pa.Table:
    """Read the small table of contacts."""
    head, *lines = [line.split() for line in TOUCHPOINTS.strip().splitlines()]
    columns: dict[str, list[str | None]] = {
        name: [None if cell == "-" else cell for cell in cells]
        for name, cells in zip(head, zip(*lines, strict=True), strict=True)
    }
    days = [int(str(day)) * DAY for day in columns.pop("day")]
    cases = [int(str(case)) for case in columns.pop("case")]
    found = {"customer_key": [1] * len(days), "journey_key": cases, "occurred_at": days, "known_at": days}
    numbers = {
        name: [None if v is None else float(v) for v in values]
        for name, values in columns.items()
        if name not in _TEXTS
    }
    texts = {name: pa.array(columns[name], pa.string()) for name in _TEXTS}
    return pa.table(found | texts | {name: pa.array(values, pa.float64()) for name, values in numbers.items()})


def small_catalogue() -> Catalogue:
    """Derive the catalogue of the small study."""
    table = touchpoints()
    rows = table.select(["journey", "touchpoint", *STUDY_READ.measure_names]).to_pylist()
    places = sorted({(row["journey"], row["touchpoint"]) for row in rows})
    observed = [
        Observed(journey, touchpoint, measure, sum(
            (row["journey"], row["touchpoint"]) == (journey, touchpoint) and (not measure or row[measure] is not None)
            for row in rows
        ))
        for journey, touchpoint in places
        for measure in ("", *STUDY_READ.measure_names)
    ]  # fmt: skip
    return catalogue(STUDY_READ, Recorded(channels=True, departments=True, causes=True), observed)


def values() -> dict[str, float]:
    """Compute all features of the small catalogue with the engine."""
    found = small_catalogue()
    spine = pa.table({"customer_key": [1], "cutoff": [CUTOFF * DAY]})
    days, amounts = zip(*PAYMENTS, strict=True)
    paid = pa.table({"customer_key": [1] * len(days), "at": [day * DAY for day in days], "amount": amounts})
    tables = (
        build(found.plan, touchpoints(), spine, found.levels),
        build(found.revenue_plan, dated(paid, "at", "amount"), spine, {}),
    )
    return {
        found.columns[name]: table[name][0].as_py()
        for table in tables
        for name in table.column_names
        if name in found.columns
    }


def page() -> str:
    """Write the reference page."""
    features = {feature.name: feature for feature in small_catalogue().features}
    lines = [
        "# Features, with an example of each",
        "",
        "Written by `python -m tests.feature_specs` from the specification that the tests hold; not edited by hand.",
        "What the parts of a name mean stands in [the panel](../explanation/panel.md). A study of your own gets a",
        "dictionary of its own features, with units, ranges and shares missing: `store/dictionary.csv`.",
        "",
        f"One customer, seen at day {CUTOFF} with a window of 180 days (`-`: not measured, not answered, not known):",
        "",
        "```text",
        *TOUCHPOINTS.strip("\n").splitlines(),
        "```",
        "",
        f"Payments (day, amount): {', '.join(f'{day}: {amount:g}' for day, amount in PAYMENTS)}.",
        "",
        "The study that says what they mean:",
        "",
        "```yaml",
        *STUDY.strip("\n").splitlines(),
        "```",
        "",
        "| feature | what it is | unit | better | missing means | here |",
        "|---|---|---|---|---|---|",
        *(_row(features[spec.name], spec.value) for spec in SPECS),
        "",
    ]
    return "\n".join(lines)


def _row(feature: Feature, value: float) -> str:
    meaning = feature.meaning.removesuffix(", over 180 days.").removesuffix(".")
    shown = "missing" if np.isnan(value) else f"{value:.4g}"
    better = {"none": "", "lower": "lower", "higher": "higher"}[feature.direction]
    return f"| `{feature.name}` | {meaning} | {feature.unit} | {better} | {feature.missing} | {shown} |"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
