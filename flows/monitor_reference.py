"""What a batch is compared with: the cutoffs that the model has learned from, and what arrived in their months."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from features.contract import PanelContract
from features.health_jumps import month_number
from features.health_units import FEWEST
from features.manifest import LayoutManifest, Periods
from features.measures import Feature
from features.panel import read_panel
from features.snapshot import DAY, iso
from features.study import Study
from flows.storage import Workspace
from flows.succession import TRAINED_UNTIL
from models.arrivals import Arrival
from models.churn import predict_churn
from models.drift import Profile, Profiler, joined

__all__ = ["SCORE", "Reference", "arrived", "judged_features", "reference_cutoffs", "reference_of", "steps_per_window"]

SCORE: Final = "churn_risk"
_SAMPLE: Final = 20_000
"""Rows of the reference that fix bins and scales."""

_SCORED: Final = 5_000
"""Rows of each reference cutoff that the model scores, to know what its scores look like."""

_CALENDAR: Final = "season__"


@dataclass(frozen=True, slots=True)
class Reference:
    """What the cutoffs that a model has learned from look like.

    Attributes
    ----------
    cutoffs : tuple of int
        Ascending, microseconds.
    profiler, score_profiler : Profiler
        How features and scores are described; the latter over the scores of the same model.
    profiles : tuple of Profile
        One a cutoff; of features and, from some thousand rows, of scores.
    rows : tuple of int
        Customers at risk at each cutoff.
    distinct : tuple of int
        Different scores among the scored rows of each cutoff.
    scored : tuple of int
        How many rows were scored at each.
    """

    cutoffs: tuple[int, ...]
    profiler: Profiler
    score_profiler: Profiler
    profiles: tuple[Profile, ...]
    rows: tuple[int, ...]
    distinct: tuple[int, ...]
    scored: tuple[int, ...]


def judged_features(features: Sequence[Feature]) -> tuple[Feature, ...]:
    """Leave out what nobody moves (context, such as weather and outages) and the calendar: they are always news."""
    return tuple(one for one in features if one.role != "context" and not one.name.startswith(_CALENDAR))


def reference_cutoffs(contract: PanelContract, at: int, tags: Mapping[str, str]) -> tuple[int, ...]:
    """List the cutoffs before a batch whose outcomes its model has learned from; all matured ones if it does not say.

    Parameters
    ----------
    contract : PanelContract
        Of the panel.
    at : int
        Cutoff of the batch.
    tags : mapping
        Of the model version.
    """
    until = tags.get(TRAINED_UNTIL, "")
    last = int(until) if until.isdigit() else at
    return tuple(one for one in contract.matured if one < at and one <= last)


def steps_per_window(study: Study, cutoffs: Sequence[int]) -> float:
    """Say over how many cutoffs the observation window reaches."""
    if len(cutoffs) < 2:
        return 1.0
    step = float(np.median(np.diff(np.array(cutoffs, np.float64)))) / DAY
    return study.snapshot.window_days / max(step, 1.0)


def reference_of(
    workspace: Workspace, contract: PanelContract, cutoffs: Sequence[int], model: Any, tick: Callable[[str], None]
) -> Reference:
    """Describe the cutoffs of the reference, one partition in memory at a time; `tick` is told what is done."""
    features = judged_features(contract.features)
    names = [one.name for one in features]
    share = _SAMPLE / max(1, sum(one.rows for one in contract.partitions if one.cutoff in set(cutoffs)))
    sampled, scores = [], []
    for at in cutoffs:
        tick(f"reading the reference, {iso(at)}")
        rows = read_panel(workspace.store.root, (at,))
        place = _place(rows["customer_id"])
        sampled.append(rows.loc[place <= max(share, 200 / max(len(rows), 1)), names])
        some = rows.loc[place <= _SCORED / max(len(rows), 1)]
        scores.append(pd.DataFrame({SCORE: predict_churn(model, some, contract.features)}))
    profiler = Profiler.of(pd.concat(sampled, ignore_index=True), names)
    score_profiler = Profiler.of(pd.concat(scores, ignore_index=True), [SCORE])
    profiles = []
    for at, scored in zip(cutoffs, scores, strict=True):
        tick(f"describing the reference, {iso(at)}")
        described = profiler.profile(read_panel(workspace.store.root, (at,), columns=names))
        profiles.append(joined(described, score_profiler.profile(scored)))
    return Reference(
        cutoffs=tuple(cutoffs),
        profiler=profiler,
        score_profiler=score_profiler,
        profiles=tuple(profiles),
        rows=tuple(one.n for one in profiles),
        distinct=tuple(int(one[SCORE].nunique()) for one in scores),
        scored=tuple(len(one) for one in scores),
    )


def arrived(manifest: LayoutManifest, last_reference: int, at: int) -> tuple[str, int, tuple[Arrival, ...]]:
    """Count what arrived in the last full month before a cutoff, and in the months of the reference.

    Parameters
    ----------
    manifest : LayoutManifest
        Counts by month.
    last_reference, at : int
        Last cutoff of the reference, and the cutoff of the batch.

    Returns
    -------
    tuple
        The month (``YYYY-MM``), how many months it lies after the last of the past, and the series. A month with fewer
        than 30 values tells nothing of a size or a share, and of a volume only where 30 were usual.
    """
    first = pd.Period(iso(manifest.data_start), "M") + 1  # the first month is seldom whole
    new = pd.Period(iso(at), "M") - 1
    end = min(pd.Period(iso(last_reference), "M") - 1, new - 1)
    months = [str(one) for one in pd.period_range(first, end, freq="M")] if end >= first else []
    series = [one for found in manifest.stock.periods for one in _of_measure(found, months, str(new))]
    journeys = sorted({one.journey for one in manifest.volumes})
    counted = {(one.month, one.journey): one.touchpoints for one in manifest.volumes}
    for journey in journeys:
        past = [counted.get((month, journey), 0) for month in months]
        if past and np.median(past) >= FEWEST:
            now = counted.get((str(new), journey), 0)
            logs = tuple(math.log(max(n, 1)) for n in past)
            series.append(Arrival(journey, "volume", logs, math.log(max(now, 1)), now))
    return str(new), (new - end).n if months else 1, tuple(series)


def _of_measure(found: Periods, months: Sequence[str], new: str) -> Iterator[Arrival]:
    if month_number(new) is None:
        return
    place = {period: at for at, period in enumerate(found.periods)}
    for aspect, value in (("size", _size), ("missing", _missing), ("nonzero", _nonzero)):
        told = [value(found, place[month]) if month in place else math.nan for month in (*months, new)]
        n = found.n[place[new]] if new in place else 0
        yield Arrival(f"{found.measure} in {found.journey}", aspect, tuple(told[:-1]), told[-1], n)


def _size(found: Periods, at: int) -> float:
    quartiles = found.quartiles[at]
    return math.log(quartiles[1]) if quartiles is not None and found.nonzero[at] >= FEWEST else math.nan


def _missing(found: Periods, at: int) -> float:
    rows = found.rows[at]
    return math.asin(math.sqrt(1 - found.n[at] / rows)) if rows >= FEWEST else math.nan


def _nonzero(found: Periods, at: int) -> float:
    n = found.n[at]
    return math.asin(math.sqrt(found.nonzero[at] / n)) if n >= FEWEST else math.nan


def _place(customers: pd.Series) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Place each customer between 0 and 1 by a hash of its id: the same ones at every cutoff, in whatever order."""
    hashes = pd.util.hash_array(customers.astype(str).to_numpy(object), categorize=False)
    return (hashes >> np.uint64(11)).astype(np.float64) / 2.0**53
