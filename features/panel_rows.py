"""The panel rows of one bucket of customers, for one cutoff after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.buckets import OPTIONAL_LABELS
from features.engine import features_at
from features.facts import Recorded
from features.history import History
from features.layout import Bucket, Layout
from features.manifest import LayoutManifest
from features.measures import Catalogue, Observed
from features.outcomes import OutcomeKind, Outcomes, at_risk, dated
from features.snapshot import DAY, Snapshot, month_of
from features.study import Study

__all__ = ["BucketRows", "counted", "in_single_precision", "observe", "panel_columns", "recorded_in"]

Floats: TypeAlias = NDArray[np.float64]


class BucketRows:
    """Makes the panel rows of a bucket; its tables are sorted once.

    Parameters
    ----------
    study : Study
        Snapshot lengths, covariates, outcomes.
    found : Catalogue
        The features.
    bucket : Bucket
        Whole customers.
    """

    def __init__(self, study: Study, found: Catalogue, bucket: Bucket) -> None:
        self._catalogue, self._customers, self._churn = found, bucket.customers, bucket.churn
        self._touchpoints = History(found.plan, _with_optional_labels(bucket.touchpoints))
        self._revenue = History(found.revenue_plan, dated(bucket.revenue, "occurred_at", "amount"))
        further: dict[str, tuple[OutcomeKind, pa.Table]] = {
            outcome.name: (outcome.kind, bucket.outcomes[outcome.name]) for outcome in study.outcomes
        }
        self._outcomes = Outcomes(Snapshot.of(study.snapshot), bucket.churn, bucket.revenue, further)

    def at(self, cutoff: int, *, is_mature: bool) -> pa.Table:
        """Make the rows of the customers at risk at a cutoff, in the order of their keys.

        Returns
        -------
        pyarrow.Table
            ``customer_id``, ``customer_key``, ``cutoff``, the features in the order of the catalogue, the outcomes,
            ``is_mature`` (whether the outcomes are known: false throughout before maturity, and for who left during
            the gap) and ``weight`` (1).
        """
        people = self._customers.take(pa.array(at_risk(self._customers, self._churn, cutoff)))
        spine = pa.table({"customer_key": people["customer_key"], "cutoff": np.full(people.num_rows, cutoff)})
        values = self._features(spine) | _baseline(people, cutoff)
        outcomes = self._outcomes.at(people["customer_key"].to_numpy(), cutoff, is_mature=is_mature)
        return panel_columns(
            people,
            cutoff,
            {feature.name: values[feature.name] for feature in self._catalogue.features},
            outcomes,
            np.ones(people.num_rows),
        )

    def _features(self, spine: pa.Table) -> dict[str, pa.ChunkedArray]:
        found = features_at(self._touchpoints, spine, self._catalogue.levels)
        paid = features_at(self._revenue, spine, {})
        columns = self._catalogue.columns
        found = in_single_precision(found)
        felt = {columns[name]: found[name] for name in found.column_names if name in columns}
        return felt | {columns[name]: paid[name] for name in paid.column_names if name in columns}


def in_single_precision(table: pa.Table) -> pa.Table:
    """Halve the numbers of a table: 24 bits are more than any measure has (docs/decisions/0012)."""
    kinds = [pa.float32() if pa.types.is_float64(field.type) else field.type for field in table.schema]
    return table.cast(pa.schema(zip(table.column_names, kinds, strict=True)))


def panel_columns(
    people: pa.Table,
    cutoff: int,
    features: dict[str, pa.ChunkedArray | Floats],
    outcomes: dict[str, Floats],
    weight: Floats,
    *,
    deciding: str = "is_churned",
) -> pa.Table:
    """Put the columns of a panel in their order; rows whose deciding outcome is unknown are not mature."""
    n = people.num_rows
    moment = pa.array(np.full(n, cutoff)).cast(pa.timestamp("us", tz="UTC"))
    identity = {"customer_id": people["customer_id"], "customer_key": people["customer_key"], "cutoff": moment}
    is_mature = ~np.isnan(outcomes[deciding])
    return pa.table(identity | features | outcomes | {"is_mature": is_mature, "weight": weight})


def observe(layout: Layout, measures: Sequence[str]) -> tuple[Observed, ...]:
    """Count the rows of each touchpoint of each journey, and in how many of them each measure has a value.

    Returns
    -------
    tuple of Observed
        Sorted; measure ``""`` counts rows. Combinations that do not occur are left out.
    """
    counts: dict[tuple[str, str, str], int] = {}
    for number in range(layout.manifest.buckets):
        for key, n in counted(layout.bucket(number).touchpoints, measures).items():
            counts[key] = counts.get(key, 0) + n
    return tuple(Observed(*key, n) for key, n in sorted(counts.items()) if n)


def recorded_in(manifest: LayoutManifest) -> Recorded:
    """Say which optional columns the touchpoints of a layout have."""
    levels = manifest.levels
    return Recorded(
        channels=len(levels["channel"]) > 1,
        departments=len(levels.get("department", ())) > 1,
        causes=bool(levels.get("cause")),
        sessions=manifest.has_sessions,
    )


def counted(touchpoints: pa.Table, measures: Sequence[str]) -> dict[tuple[str, str, str], int]:
    """Count rows and values by journey, touchpoint and measure; measure ``""`` counts rows."""
    grouped = touchpoints.group_by(["journey", "touchpoint"]).aggregate(
        [([], "count_all"), *((name, "count", pc.CountOptions(mode="only_valid")) for name in measures)]
    )
    found: dict[tuple[str, str, str], int] = {}
    for row in grouped.to_pylist():
        place = (str(row["journey"]), str(row["touchpoint"]))
        found |= {(*place, name): int(row[f"{name}_count"]) for name in measures}
        found[*place, ""] = int(row["count_all"])
    return found


def _with_optional_labels(touchpoints: pa.Table) -> pa.Table:
    """Add the optional text columns that are not there: features pinned to other data may ask for them."""
    nothing = pa.nulls(touchpoints.num_rows, pa.string()).dictionary_encode()
    for name in OPTIONAL_LABELS:
        if name not in touchpoints.column_names:
            touchpoints = touchpoints.append_column(name, nothing)
    return touchpoints


def _baseline(people: pa.Table, cutoff: int) -> dict[str, pa.ChunkedArray | Floats]:
    """Tenure, season and covariates of customers."""
    joined = people["joined_at"].cast(pa.float64()).to_numpy()
    season = 2 * np.pi * (month_of(cutoff) - 1) / 12
    known = {name: people[name] for name in people.column_names}
    return known | {
        "tenure_days": (cutoff - joined) / DAY,
        "season__sin": np.full(people.num_rows, np.sin(season)),
        "season__cos": np.full(people.num_rows, np.cos(season)),
    }
