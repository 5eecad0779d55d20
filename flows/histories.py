"""The rows behind every effect: histories around past go-live dates, read once a process for explain and simulate."""

from functools import lru_cache

import numpy as np

from features.layout import Layout, open_layout
from features.manifest import LayoutManifest
from features.snapshot import cutoffs, go_live_dates
from features.study import Study
from flows import console
from flows.storage import open_workspace
from models.adjustment import Exposure
from models.prepared import prepare
from models.shared_fits import SharedFits

__all__ = ["exposures_of", "go_lives_of", "prepare_histories"]


def exposures_of(study: Study, found: LayoutManifest) -> tuple[Exposure, ...]:
    """List what customers met: measures with values, by journey, without answers and what is known only afterwards.

    Parameters
    ----------
    study : Study
        Says which measures there are.
    found : LayoutManifest
        Counts values in each journey.

    Returns
    -------
    tuple of Exposure
        In the order of the study's journeys and measures.
    """
    counts = {one.name: one.by_journey for one in found.measures}
    known = [measure.name for measure in study.measures if measure.known == "before" and not measure.is_rating]
    return tuple(
        Exposure(journey, name)
        for journey in study.journey_names
        for name in known
        if counts.get(name, {}).get(journey, 0) > 0
    )


def go_lives_of(study: Study, found: LayoutManifest) -> tuple[int, ...]:
    """Find the past cutoffs at which initiatives are imagined to begin.

    Parameters
    ----------
    study : Study
        Gives the snapshot grid.
    found : LayoutManifest
        Says where the data begin and end.

    Returns
    -------
    tuple of int
        Microseconds, at most three, ascending; each with a whole horizon after it.
    """
    grid = study.snapshot
    return go_live_dates(grid, cutoffs(grid, found.data_start, found.data_end), found.data_end)


def prepare_histories(study_file: str, layout: Layout, seed: int) -> SharedFits:
    """Rebuild the experience of customers week by week; explain and simulate of one process share the result.

    Parameters
    ----------
    study_file : str
        The study.
    layout : Layout
        Its tables as they are now.
    seed : int
        Decides which rows without churn are kept, and deals customers into folds.

    Returns
    -------
    SharedFits
        Rows for every effect of the study, and the models fitted on them so far.
    """
    return _prepared(study_file, layout.manifest.fingerprint, seed)


@lru_cache(maxsize=1)
def _prepared(study_file: str, fingerprint: str, seed: int) -> SharedFits:  # noqa: ARG001 (the fingerprint is the key)
    workspace = open_workspace(study_file)
    layout = open_layout(workspace.store.root)
    found, study = layout.manifest, workspace.study
    with console.progress("effects") as tick:
        prepared = prepare(
            study,
            layout.all_buckets,
            go_lives_of(study, found),
            (found.data_start, found.data_end),
            np.random.default_rng([seed, 10]),
            exposures=exposures_of(study, found),
            tick=tick,
        )
    return SharedFits(prepared)
