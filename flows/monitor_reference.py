"""What a batch is compared with: the cutoffs that the model has learned from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from features.contract import PanelContract
from features.measures import Feature
from features.panel import read_panel
from features.snapshot import DAY, iso
from features.study import Study
from flows.monitor_kept import Described, forget, keep, kept, key_of
from flows.storage import Workspace
from flows.succession import TRAINED_UNTIL
from flows.tracking import Champion
from models.churn import predict_churn
from models.counted import Counted, counted, pooled
from models.drift import Profile, Profiler, joined

__all__ = ["SCORE", "Reference", "judged_features", "reference_cutoffs", "reference_of", "steps_per_window"]

SCORE: Final = "churn_risk"
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
    workspace: Workspace, contract: PanelContract, cutoffs: Sequence[int], model: Champion, tick: Callable[[str], None]
) -> Reference:
    """Describe the cutoffs of the reference: what an earlier run has kept of them, else from their rows, read once.

    Parameters
    ----------
    workspace, contract
        Where the panel is.
    cutoffs : sequence of int
        Ascending, at least one.
    model : Champion
        The version whose scores are described; loaded only where something has to be described.
    tick : callable
        Told what is done.

    Returns
    -------
    Reference
        The same, whether it was kept or not. One partition is in memory at a time.
    """
    names = [one.name for one in judged_features(contract.features)]
    folder, found, loaded = workspace.store.monitor, [], None
    for at in cutoffs:
        key = key_of(contract, at, model)
        one = kept(folder, key)
        if one is None:
            tick(f"describing the reference, {iso(at)}")
            loaded = loaded or model.load(contract.feature_contract_hash)
            one = _described(workspace.store.root, contract, at, names, loaded)
            keep(folder, key, one)
        found.append(one)
    forget(folder, {iso(at) for at in (*cutoffs, *contract.matured)})
    profiler = Profiler.of(pooled([one.columns for one in found]))
    score_profiler = Profiler.of(pooled([{SCORE: one.scores} for one in found]))
    profiles = [joined(profiler.profile(one.columns), score_profiler.profile({SCORE: one.scores})) for one in found]
    return Reference(
        cutoffs=tuple(cutoffs),
        profiler=profiler,
        score_profiler=score_profiler,
        profiles=tuple(profiles),
        rows=tuple(one.n for one in profiles),
        distinct=tuple(one.distinct for one in found),
        scored=tuple(one.scores.rows for one in found),
    )


def _described(root: Path, contract: PanelContract, at: int, names: Sequence[str], model: Any) -> Described:
    """Count the values of the judged features at a cutoff, and score some of its customers."""
    rows = read_panel(root, (at,), columns=["customer_id", *(one.name for one in contract.features)])
    some = rows.loc[_place(rows["customer_id"]) <= _SCORED / max(len(rows), 1)]
    scores = pd.Series(predict_churn(model, some, contract.features))
    return Described(counted(rows, names), Counted.of(scores), int(scores.nunique()))


def _place(customers: pd.Series) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Place each customer between 0 and 1 by a hash of its id: the same ones at every cutoff, in whatever order."""
    hashes = pd.util.hash_array(customers.astype(str).to_numpy(object), categorize=False)
    return (hashes >> np.uint64(11)).astype(np.float64) / 2.0**53
