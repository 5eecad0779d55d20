"""What initiatives would do in a flat table: effects, by segment too, with what shows how far they can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from features.luck import uniform
from features.study import Study
from models.adjustment import AdjustmentSet, Exposure
from models.double_ml import (
    LEARNERS,
    Learner,
    Moved,
    difference,
    fit_outcome,
)
from models.driver_tests import holm
from models.effects import Estimate
from models.flat_rows import FlatData
from models.flat_support import LEAST_MOVED, Support, support_of
from models.initiatives import Initiative, refusal
from models.levers import raw_contrast
from models.sensitivity import robustness_value

__all__ = ["FlatEffect", "FlatRuling", "SegmentEffect", "flat_effects", "moved_values", "outcomes_of"]

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
Verdict = Literal["possible", "harmful", "undecided", "refused"]


@dataclass(frozen=True, slots=True)
class SegmentEffect:
    """The effect among the rows of one level of a covariate.

    Attributes
    ----------
    level : str
        Of the covariate.
    estimate, apart : Estimate
        Mean over these rows, and that less the mean over all other rows; NaN where too few customers would be moved.
    p_adjusted : float
        That it is no other than elsewhere, over all levels by Holm; NaN where no number is given.
    rows, moved : int
        Rows of the level, and customers of whom something moves.
    """

    level: str
    estimate: Estimate
    apart: Estimate
    p_adjusted: float
    rows: int
    moved: int


@dataclass(frozen=True, slots=True)
class FlatRuling:
    """The verdict on one effect and, in words, what led to it."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class FlatEffect:
    """What one initiative does to one outcome, mean over all rows; numbers are NaN where it is refused.

    Attributes
    ----------
    initiative : Initiative
        What moves.
    outcome : str
        Column of the panel.
    estimate : Estimate
        Change in the outcome per row (a churn effect of -0.01: one point fewer leave); reach and expected delivery
        included.
    plug_in : float
        Without the one-step correction.
    base, raw : float
        Mean of the outcome as it is, and what the univariate slopes times the mean changes would have promised.
    support : Support
        Whether the data can say so.
    adjustment : AdjustmentSet
        What was held fixed.
    learner : str
        Kind of outcome regression; empty when refused.
    influence : float64 array, shape (customers,)
        Of each customer; inner products give what two effects share.
    segments : tuple of SegmentEffect
        By level of the study's segment, in the order of names.
    reason : str
        Why it is refused; empty when it is not.
    """

    initiative: Initiative
    outcome: str
    estimate: Estimate
    plug_in: float
    base: float
    raw: float
    support: Support
    adjustment: AdjustmentSet
    learner: str
    influence: Array
    segments: tuple[SegmentEffect, ...]
    reason: str

    @property
    def robustness(self) -> float:
        """Partial R2 that something unseen would need with measures and outcome to bring the effect to zero."""
        return robustness_value(abs(self.estimate.t) / max(self.support.customers, 1) ** 0.5)

    def ruling(self, outcomes: int) -> FlatRuling:
        """Put it into words: 5 % over this many outcomes together (Bonferroni), and never more than possible.

        Notes
        -----
        Harmful where more leave or less is spent; which way is better is not known of other outcomes.

        A flat table has no spend from before the qualities were met, so nothing tests an effect on the past (placebo)
        as it does in event studies, and what cannot be tested is not called likely.
        """
        if self.reason:
            return FlatRuling("refused", self.reason)
        if abs(self.estimate.t) < stats.norm.ppf(1 - 0.025 / outcomes):
            return FlatRuling("undecided", "Chance alone could explain it.")
        if worse := self._worse():
            return FlatRuling("harmful", f"Beyond chance {worse}.")
        return FlatRuling("possible", "Beyond chance, but a flat table has no past to test it on (no placebo).")

    def _worse(self) -> str:
        """Say what gets worse by the estimate; empty where nothing does, or nobody knows what is better."""
        if self.outcome == "is_churned" and self.estimate.value > 0:
            return "more customers leave"
        return "less is spent" if self.outcome == "revenue" and self.estimate.value < 0 else ""


_NOTHING = Estimate(float("nan"), float("nan"))


def outcomes_of(study: Study, frame: pd.DataFrame) -> tuple[str, ...]:
    """Name the outcomes of a flat study that are known at all, churn first.

    Returns
    -------
    tuple of str
    """
    further = tuple(study.flat.outcomes) if study.flat else ()
    return tuple(name for name in ("is_churned", "revenue", *further) if name in frame and frame[name].notna().any())


def flat_effects(
    data: FlatData,
    initiatives: Sequence[Initiative],
    *,
    learners: Sequence[Learner] = LEARNERS,
    tick: Callable[[str, int, int], None] = lambda *_: None,
) -> tuple[tuple[FlatEffect, ...], dict[str, str]]:
    """Estimate what every initiative does to every outcome.

    Parameters
    ----------
    data : FlatData
        Rows, with folds: the same for all initiatives.
    initiatives : sequence of Initiative
        Names known to the study.
    learners : sequence of str
        Kinds of outcome regressions tried.
    tick : callable, optional
        Told which initiative, its number and of how many.

    Returns
    -------
    effects : tuple of FlatEffect
        By initiative, then outcome.
    refused : dict of str to str
        Initiatives that cannot be carried out here, and why.

    Notes
    -----
    Estimand: mean change of the outcome over all rows (one wave, or the mean over waves) if every reached row's own
    value moved as stated, covariates and upstream measures as they are. Values stay within the bounds of the measure;
    a missing value is a level of its own and never moves.
    """
    found, refused = [], {}
    for number, one in enumerate(initiatives):
        tick(one.label, number, len(initiatives))
        if why := _not_here(one, data):
            refused[one.name] = why
            continue
        held = data.held_fixed(one.moved)
        found += [_effect(data, one, held, outcome, learners) for outcome in outcomes_of(data.study, data.frame)]
    return tuple(found), refused


def _not_here(initiative: Initiative, data: FlatData) -> str:
    """Say why an initiative cannot be carried out in a flat table; empty when it can."""
    measures = {m.name: m for m in data.study.measures}
    for change in initiative.changes:
        if change.way in ("remove", "speed_up"):
            return f"A flat table has no touchpoints with times: {change.way} can do nothing. Use scale or shift."
        at = measures[change.measure].touchpoint
        if change.channel is not None:
            return f"A flat table has no channels, so '{change.channel}' cannot be told from others. Leave channel out."
        if change.touchpoint is not None and change.touchpoint != at:
            where = f"at '{at}'" if at else "at no named touchpoint"
            return (
                f"{change.measure} is measured {where}, not at '{change.touchpoint}'. Change or leave out touchpoint."
            )
    return refusal(initiative, data.study, frozenset(data.observed))


def moved_values(data: FlatData, initiative: Initiative) -> tuple[Array, Flags]:
    """Give the moved measures as they would have been.

    Parameters
    ----------
    data : FlatData
        Rows.
    initiative : Initiative
        Its reach is not applied here: it scales the effect.

    Returns
    -------
    moved : float64 array, shape (n, k)
        In the order of `initiative.moved`.
    reached : bool array, shape (n,)
        Rows that the filter lets through.

    Notes
    -----
    Failures are mended whole, by luck that belongs to customer and wave, as in event studies.
    """
    frame, measures = data.frame, {m.name: m for m in data.study.measures}
    reached = np.ones(len(frame), bool)
    for covariate, levels in initiative.where.items():
        reached &= frame[covariate].astype(str).isin(levels).to_numpy()
    luck = uniform(0, "mended", frame["customer_key"].to_numpy(np.int64), frame["cutoff"].to_numpy(np.int64))
    moved = data.values(initiative.moved)
    for change in initiative.changes:
        place, measure = initiative.moved.index(change.exposure), measures[change.measure]
        lower = measure.direction == "lower"
        new = change.delivered(moved[:, place], initiative.expected_delivery, luck, lower_is_better=lower)
        low, high = measure.bounds
        # A value beyond the bounds was there before; the initiative does not move it.
        new = np.clip(new, np.fmin(low, moved[:, place]), np.fmax(high, moved[:, place]))
        moved[:, place] = np.where(reached, new, moved[:, place])
    return moved, reached


def _effect(
    data: FlatData, one: Initiative, held: AdjustmentSet, outcome: str, learners: Sequence[Learner]
) -> FlatEffect:
    moved, reached = moved_values(data, one)
    known = data.known(outcome)
    extra = None if reached.all() else reached[:, None].astype(float)
    fitted = fit_outcome(data.rows(held, outcome, extra), learners=learners)
    as_moved = fitted.moved(moved[known])
    whole = as_moved.effect(np.ones(int(known.sum()), bool))
    support = support_of(as_moved, whole, reached[known])
    reason = support.refusal()
    rows = fitted.rows
    shown = FlatEffect(
        initiative=one,
        outcome=outcome,
        estimate=_scaled(whole.estimate, one.reach),
        plug_in=whole.plug_in * one.reach,
        base=float(np.average(rows.outcome, weights=rows.weight)),
        raw=_raw(data, held.moved, moved, outcome) * one.reach,
        support=support,
        adjustment=held,
        learner=fitted.learner,
        influence=whole.influence * one.reach,
        segments=(),
        reason=reason,
    )
    if reason:
        blank = np.full_like(whole.influence, np.nan)
        return replace(shown, estimate=_NOTHING, plug_in=float("nan"), learner="", influence=blank)
    return replace(shown, segments=_segments(data, as_moved, known, one.reach))


def _scaled(estimate: Estimate, by: float) -> Estimate:
    return Estimate(estimate.value * by, estimate.se * by)


def _raw(data: FlatData, measures: Sequence[Exposure], moved: Array, outcome: str) -> float:
    """Univariate slope times the mean change where the measure applies, over all moved measures."""
    total = 0.0
    for j, exposure in enumerate(measures):
        change = moved[:, j] - data.value(exposure)
        there = ~np.isnan(change)
        mean = float(np.average(change[there], weights=data.weight[there])) if there.any() else 0.0
        total += raw_contrast(data.frame, data.column[exposure], outcome, mean)
    return total


def _segments(data: FlatData, moved: Moved, known: Flags, reach: float) -> tuple[SegmentEffect, ...]:
    """Estimate each level of the study's segment, beside all other rows."""
    segment = data.study.flat.segment if data.study.flat else None
    if segment is None:
        return ()
    column = data.frame.loc[known, segment]
    level_of = column.astype(object).where(column.notna(), "(none)").astype(str).to_numpy()
    rows = moved.fitted.rows
    touched = (~np.isnan(rows.measured) & (moved.measured != rows.measured)).any(axis=1)
    found = []
    for level in np.unique(level_of):
        among = level_of == level
        customers = len(np.unique(rows.cluster[among & touched]))
        others = len(np.unique(rows.cluster[~among & touched]))
        estimate = apart = _NOTHING
        if customers >= LEAST_MOVED:
            own = moved.effect(among)
            estimate = _scaled(own.estimate, reach)
            if others >= LEAST_MOVED:
                apart = _scaled(difference(own, moved.effect(~among)), reach)
        found.append(SegmentEffect(str(level), estimate, apart, float("nan"), int(among.sum()), customers))
    told = [i for i, one in enumerate(found) if not np.isnan(one.apart.value)]
    p = np.array([2 * stats.norm.sf(abs(found[i].apart.t)) for i in told])
    # Of two levels each is all that the other is not: one test, not two.
    p = p if len(told) == len(found) == 2 else holm(p)
    for i, adjusted in zip(told, p, strict=True):
        found[i] = replace(found[i], p_adjusted=float(adjusted))
    return tuple(found)
