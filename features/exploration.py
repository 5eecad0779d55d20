"""What a study's journeys look like before anything is modelled: paths, waits, where they break, what follows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from features.courses import journey_counts, path_counts, trouble_counts
from features.follow_ups import follow_up_counts
from features.journey_runs import JourneyRuns
from features.layout import Layout
from features.study import Study
from features.waits import WaitTally, timed_measures

__all__ = ["Exploration", "explore"]


@dataclass(frozen=True, slots=True)
class Exploration:
    """Counts over all touchpoints of a study; a share is one count over another.

    ``n_effective`` is the number of customers that the rows of a cell are worth, for intervals: (sum of rows)² over the
    sum of the squares of each customer's rows.

    Attributes
    ----------
    journeys : DataFrame
        One row a journey type, in the order of the study: see :func:`features.courses.journey_counts`.
    paths : DataFrame
        One row a journey type and sequence of touchpoints, most frequent first, ties by name, with n_effective of the
        journey type: see :func:`features.courses.path_counts`; ``days`` is the mean here.
    troubles : DataFrame
        One row a touchpoint at which something can go wrong: see :func:`features.courses.trouble_counts`.
    follow_ups : DataFrame
        One row a pair of journeys and whether something went wrong: see
        :func:`features.follow_ups.follow_up_counts`.
    waits : DataFrame
        See :meth:`features.waits.WaitTally.frame`.
    """

    journeys: pd.DataFrame
    paths: pd.DataFrame
    troubles: pd.DataFrame
    follow_ups: pd.DataFrame
    waits: pd.DataFrame


def explore(layout: Layout, study: Study, *, tick: Callable[[str], None] = lambda _: None) -> Exploration:
    """Count what the journeys of a study look like, as they stand at the end of the data.

    Not for models: what became known late is in it.

    Parameters
    ----------
    layout : Layout
        The touchpoints, laid out.
    study : Study
        Its journeys and measures.
    tick : callable
        Told what is being done.

    Returns
    -------
    Exploration
        The same for any order of the rows and any number of buckets, but for rounding of ``days``.

    Notes
    -----
    One pass, a bucket at a time: about 3 s and 1 GB for a million touchpoints.
    """
    names = tuple(layout.manifest.levels["journey"]), tuple(layout.manifest.levels["touchpoint"])
    waits = WaitTally(timed_measures(study))
    journeys, paths, troubles, follow_ups = (list[pd.DataFrame]() for _ in range(4))
    for number, bucket in enumerate(layout.all_buckets()):
        tick(f"reading journeys, part {number + 1} of {layout.manifest.buckets}")
        runs = JourneyRuns.of(study, bucket.touchpoints, *names)
        if not len(runs.order):
            continue
        journeys.append(journey_counts(runs))
        paths.append(path_counts(runs))
        troubles.append(trouble_counts(runs))
        follow_ups.append(follow_up_counts(runs, study, layout.manifest.data_end))
        waits.add(runs)
    whole = _effective(_summed(journeys, ["journey"]), "journeys")
    order = {name: place for place, name in enumerate(dict.fromkeys((*study.journey_names, *names[0])))}
    by_map = whole.sort_values("journey", key=lambda one: one.map(order), ignore_index=True)
    return Exploration(
        journeys=by_map,
        paths=_ranked(_summed(paths, ["journey", "path"]), whole, order),
        troubles=_effective(_summed(troubles, ["journey", "touchpoint"]), "told"),
        follow_ups=_effective(_summed(follow_ups, ["journey", "then", "is_trouble"]), "n"),
        waits=waits.frame(),
    )


def _summed(parts: list[pd.DataFrame], keys: list[str]) -> pd.DataFrame:
    """Add up the counts of the buckets."""
    return pd.concat(parts, ignore_index=True).groupby(keys, as_index=False).sum()


def _effective(counts: pd.DataFrame, column: str) -> pd.DataFrame:
    """Turn sums of squares into effective numbers of customers."""
    effective = counts[column].astype(float) ** 2 / counts["squares"]
    return counts.assign(n_effective=effective).drop(columns="squares")


def _ranked(paths: pd.DataFrame, journeys: pd.DataFrame, order: dict[str, int]) -> pd.DataFrame:
    """Put the most frequent paths of each journey first and add what a share of its journeys rests on."""
    found = paths.merge(journeys[["journey", "n_effective"]], on="journey", validate="many_to_one")
    found = found.assign(days=found["days"] / found["journeys"], place=found["journey"].map(order))
    ordered = found.sort_values(["place", "journeys", "path"], ascending=[True, False, True], ignore_index=True)
    return ordered.drop(columns="place")
