"""From an initiative to its effect: what it moves, what is held fixed, the estimate, and what is shown beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from features.snapshot import DAY, DAYS_PER_MONTH
from models.adjustment import AdjustmentSet, Exposure, adjustment_set, covariates_of
from models.contact_kinds import ContactKind
from models.effects import Effect, Estimate, TargetRows, estimate_effect
from models.initiatives import Initiative
from models.moves import Moves, Shift
from models.placebo import GAP_DAYS, Placebo, placebo_effect
from models.prepared import Prepared
from models.references import Reference
from models.row_columns import period_length
from models.shared_fits import SharedFit, SharedFits

FORM_ERROR = 0.08
"""Relative: what sums of pieces and memories miss of how experience acts. Twelve synthetic companies (seeds 401 to
412, six initiatives, two outcomes) were missed by so much beyond chance; with it 92 % of the 90 % intervals held the
truth, 68 % without (docs/explanation/effects.md)."""


@dataclass(frozen=True, slots=True)
class PolicyEffect:
    """An effect with what is shown beside it.

    Attributes
    ----------
    effect : Effect
        Reach and expected delivery included.
    adjustment : AdjustmentSet
        What was held fixed.
    support_share : float
        Share of moved values inside what was observed; 1 when nothing moved.
    followed_contacts : int
        Moved touchpoints on which the estimate rests, all go-lives together: those of `Prepared.followed`, who are a
        sample of a large study. For all customers see `contacts_per_month`.
    contacts_per_month : float
        Moved touchpoints per customer at risk and month, reach included.
    reached_share : float
        Share of the customers at risk who are reached.
    mean_change : mapping of Exposure to float
        Mean change of the measure over its moved touchpoints.
    placebo : Placebo or None
        What the same would have done to spend before, which is nothing; None where too little of the past is known.
    resized : tuple of Effect
        Effects of the sizes asked for.
    """

    effect: Effect
    adjustment: AdjustmentSet
    support_share: float
    followed_contacts: int
    contacts_per_month: float
    reached_share: float
    mean_change: dict[Exposure, float]
    placebo: Placebo | None = None
    resized: tuple[Effect, ...] = ()


def policy_effect(
    fits: SharedFits,
    initiative: Initiative,
    *,
    sizes: Sequence[float] = (),
) -> PolicyEffect:
    """Estimate what an initiative does over the horizon after go-live.

    Parameters
    ----------
    fits : SharedFits
        Models of a prepared study; policies that move the same kinds of things share one fit.
    initiative : Initiative
        Moves exposures that are among `prepared.exposures`.
    sizes : sequence of float
        Shares of the change of which the effect is wanted, too; above 0, at most 1.

    Returns
    -------
    PolicyEffect

    Notes
    -----
    Estimand: mean change over the horizon for the customers at risk at go-live, averaged over the go-live dates, with
    reach and expected delivery, fully active from go-live.
    """
    moved = initiative.moved_among(fits.prepared.exposures)
    model = PolicyModel.of(fits, moved)
    variants = [initiative, *(initiative.resized(size) for size in sizes)]
    moves = [model.moves_of((variant,)) for variant in variants]
    whole, *smaller = (one.shift(model.fit.names) for one in moves)
    effect, others = model.effect(whole), [model.effect(one) for one in smaller]
    with threadpool_limits(1):
        placebo = _placebo(model, model.target(whole))
    grid, reach, found = fits.prepared.study.snapshot, initiative.reach, moves[0]
    at_risk, months = max(fits.prepared.at_risk, 1), grid.horizon_days / DAYS_PER_MONTH
    return PolicyEffect(
        effect=scaled_effect(effect, reach),
        adjustment=model.adjustment,
        support_share=found.support_share,
        followed_contacts=found.contacts,
        contacts_per_month=reach * found.contacts / at_risk / months,
        reached_share=reach * found.reached / at_risk,
        mean_change=found.mean_change,
        placebo=placebo.scaled(reach) if placebo else None,
        resized=tuple(scaled_effect(one, reach) for one in others),
    )


@dataclass(frozen=True, slots=True)
class PolicyModel:
    """The models for policies that move some exposures: what is held, what moves, and the fit.

    Attributes
    ----------
    prepared : Prepared
        The rows.
    adjustment : AdjustmentSet
        What is held fixed, and what moves along.
    held : tuple of Reference
        Exposures in the models.
    kinds : tuple of ContactKind
        Contacts counted in the models.
    fit : SharedFit
        The models.
    """

    prepared: Prepared
    adjustment: AdjustmentSet
    held: tuple[Reference, ...]
    kinds: tuple[ContactKind, ...]
    fit: SharedFit

    @classmethod
    def of(cls, fits: SharedFits, moved: Iterable[Exposure]) -> PolicyModel:
        """Order what is known around the moved exposures."""
        prepared = fits.prepared
        adjustment = adjustment_set(prepared.study, moved, prepared.exposures)
        held = tuple(r for r in prepared.references if r.exposure in set(adjustment.exposures))
        counted = {*adjustment.volumes, *adjustment.carried_volumes}
        kinds = tuple(k for k in prepared.kinds if k.journey in counted)
        left_out = set(covariates_of(prepared.study)) - set(adjustment.covariates)
        return cls(prepared, adjustment, held, kinds, fits.of(kinds, held, left_out))

    def moves_of(self, initiatives: Sequence[Initiative]) -> Moves:
        """Collect what some initiatives, moving exposures of this model, shift together for those who are followed."""
        wanted = {e for one in initiatives for e in one.moved_among(self.prepared.exposures)}
        retimed = {c.journey for one in initiatives for c in one.changes if c.way in ("speed_up", "remove")}
        moving = [r for r in self.held if r.exposure in wanted]
        fixed = {*self.adjustment.upstream, *self.adjustment.context}
        still = [r for r in self.held if r.exposure in fixed]
        moves = Moves(moving, retimed, still, self.prepared, self.held, self.kinds)
        for people in self.prepared.followed:
            moves.collect(initiatives, people)
        return moves

    def target(self, shift: Shift) -> TargetRows:
        """Rows after each go-live with what a policy shifts."""
        return replace(
            self.fit.unmoved, shift=shift.values, shifted=shift.columns, carried=shift.carried, moved=shift.own
        )

    def effect(self, shift: Shift) -> Effect:
        """Estimate what a policy does that shifts so much."""
        # Small dense systems: more threads only fight with whatever else is running.
        with threadpool_limits(1):
            return estimate_effect(self.fit.models, self.target(shift), self.fit.observed)


def _placebo(model: PolicyModel, target: TargetRows) -> Placebo | None:
    """Estimate the effect on what was spent before the oldest touchpoint that is remembered.

    By way of the moved exposures alone: how often customers come goes along with what they spend.
    """
    prepared, rows, names = model.prepared, model.fit.models, model.fit.names
    grid = prepared.study.snapshot
    lag = max(grid.window_days - grid.horizon_days, 0) + GAP_DAYS
    days = period_length(prepared.study) / DAY
    settled = [name for name, before in zip(names, rows.before, strict=True) if before]
    own = target.shifted if target.moved is None else target.moved
    remembered = np.flatnonzero(rows.before[target.shifted] & np.isin(target.shifted, own))
    moved = [names[column] for column in target.shifted[remembered]]
    return placebo_effect(
        prepared.fit,
        prepared.target,
        settled,
        rows.penalised[rows.before],
        moved,
        target.shift[:, remembered],
        lag,
        days,
    )


def scaled_effect(effect: Effect, reach: float) -> Effect:
    """Give the effect when only a random share is reached, with the error of the models' form."""

    def scaled(estimate: Estimate) -> Estimate:
        return Estimate(estimate.value * reach, estimate.se * reach, FORM_ERROR)

    return replace(
        effect,
        churn=scaled(effect.churn),
        revenue=scaled(effect.revenue),
        spend=scaled(effect.spend),
        influence=effect.influence * reach,
        sensitivity=effect.sensitivity.scaled(reach) if effect.sensitivity else None,
    )
