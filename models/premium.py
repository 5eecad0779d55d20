"""Journey premium: what the journey view predicts beyond the best model that looks at touchpoints one by one.

For deciding whether journeys are worth modelling on these data. It is a statement about prediction: journeys that add
nothing to it may still be where an initiative has to act (`models.effects`), and the other way round.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.added_terms import Rivals, in_order, rivals, too_few
from models.brier import recalibrate
from models.churn import OUTCOME
from models.comparison import auc_difference
from models.estimates import Estimate, Sample
from models.evaluation import MAX_ROWS, Tick, known_rows, silent
from models.journey_terms import journey_terms
from models.leaks import Leak, kept_features, leak_warnings
from models.metrics import mean_difference
from models.profit import Offer, expected_profit
from models.ranking import Ranking, auc
from models.splits import AnyFold

if TYPE_CHECKING:
    from features.measures import Feature

__all__ = ["MATTERS", "Gain", "Premium", "journey_premium"]

FloatArray = NDArray[np.float64]
Verdict = Literal["journeys add", "undecided", "journeys add nothing that can be told", "not compared"]

MATTERS = 0.005
"""Gain in log loss, as a share of the log loss of the churn rate alone, below which journeys add nothing: half a point
of McFadden's R2."""

_PAPER = Offer()


@dataclass(frozen=True, slots=True)
class Gain:
    """What journey terms gain in one metric, on the same rows; above 0 journeys are better.

    Attributes
    ----------
    metric : str
        ``log_loss`` (nats a row), ``auc`` (in [0, 1]), ``expected_max_profit`` (currency a customer at risk) or
        ``mcfadden_r2`` (share of the log loss of the churn rate alone).
    touchpoints, journeys : float
        The metric without and with journey terms.
    gain, lo, hi : float
        Improvement with its 90 % interval, clustered by customer.
    model : str
        The touchpoint-only model it is a gain over.
    """

    metric: str
    touchpoints: float
    journeys: float
    gain: float
    lo: float
    hi: float
    model: str


@dataclass(frozen=True, slots=True)
class Premium:
    """What journey terms add to the prediction of churn.

    Attributes
    ----------
    verdict : str
        By log loss alone. ``journeys add``: against every touchpoint-only model the interval of the gain lies above 0.
        Else ``journeys add nothing that can be told``: against the best one it ends below what matters. ``undecided``:
        all others. ``not compared``: see ``sentence``.
    sentence : str
        The verdict for people, with numbers, or why nothing was compared.
    gains : tuple of Gain
        log_loss, auc, expected_max_profit; empty if nothing was compared.
    share : Gain or None
        The gain in log loss as a share of the log loss of the churn rate alone (McFadden's R2), with its interval.
    against : tuple of Gain
        The same against every touchpoint-only model, the best one first: what the verdict rests on.
    best : str
        The touchpoint-only model with the lowest log loss on the tested rows; gains are against it.
    chosen : tuple of str
        For each fold the candidate and setting with journey terms that was best on training customers held back.
    touchpoint_terms, terms : tuple of str
        Features of touchpoints, and journey terms; everything else is in both models as well.
    n_rows, n_customers : int
        Tested rows, and their customers.
    """

    verdict: Verdict
    sentence: str
    gains: tuple[Gain, ...]
    share: Gain | None
    against: tuple[Gain, ...]
    best: str
    chosen: tuple[str, ...]
    touchpoint_terms: tuple[str, ...]
    terms: tuple[str, ...]
    n_rows: int
    n_customers: int

    def to_frame(self) -> pd.DataFrame:
        """One row a metric: metric, touchpoints, journeys, gain, lo, hi, verdict (log loss only), n_rows, n_customers.

        Empty if nothing was compared.
        """
        rows = [(one.metric, one.touchpoints, one.journeys, one.gain, one.lo, one.hi) for one in self.gains]
        table = pd.DataFrame(rows, columns=["metric", "touchpoints", "journeys", "gain", "lo", "hi"])
        verdict = np.where(table["metric"].eq("log_loss"), self.verdict, "")
        return table.assign(verdict=verdict, n_rows=self.n_rows, n_customers=self.n_customers)

    def rivals_frame(self) -> pd.DataFrame:
        """One row a touchpoint-only model, the best first: model, touchpoints, journeys, gain, lo, hi (McFadden's R2).

        Empty if nothing was compared.
        """
        rows = [(one.model, one.touchpoints, one.journeys, one.gain, one.lo, one.hi) for one in self.against]
        return pd.DataFrame(rows, columns=["model", "touchpoints", "journeys", "gain", "lo", "hi"])


def journey_premium(
    frame: pd.DataFrame,
    features: Sequence[Feature],
    folds: Iterable[AnyFold],
    rng: np.random.Generator,
    tick: Tick = silent,
    *,
    offer: Offer = _PAPER,
    families: Sequence[str] | None = None,
    journey_families: Sequence[str] | None = None,
    max_rows: int = MAX_ROWS,
    allow: frozenset[str] = frozenset(),
    leaks: tuple[Leak, ...] | None = None,
    matters: float = MATTERS,
) -> Premium:
    """Compare models of churn with and without journey terms on cutoffs later than those they learned from.

    Parameters
    ----------
    frame : DataFrame
        Panel rows; immature ones are ignored.
    features : sequence of Feature
        Catalogue of the panel.
    folds : iterable of Fold or CustomerFold
        From :func:`models.splits.plan_folds`; the same for both models.
    rng : numpy.random.Generator
        Decides who is held back to choose a candidate, which rows are drawn under the cap, and the seeds of fits. The
        order of the rows has no influence.
    tick : callable, optional
        Told of every fold.
    offer : Offer
        What contacting customers costs and brings, for money.
    families : sequence of str, optional
        Names of the candidates to choose from, see :func:`models.churn.candidates`; all when left out. Fewer are
        faster, and the touchpoint-only model is then the best of these.
    journey_families : sequence of str, optional
        The same for the model with journey terms; as `families` when left out. Fewer are much faster, and as a
        rule make the premium smaller: every touchpoint-only model stays a rival.
    max_rows : int
        Training rows of one fit at most.
    allow, leaks
        Suspect features, as in :func:`models.churn.evaluate_churn`; they are in neither model.
    matters : float
        Smallest gain that matters, as a share of the log loss of the churn rate alone.

    Returns
    -------
    Premium

    Raises
    ------
    EmptyResultError
        No mature rows, no usable features, or a fold without rows.

    Notes
    -----
    Estimand: mean over later rows of (log loss of the best touchpoint-only model, less log loss with journey terms as
    well), for models fitted to these training rows. Folds, training rows, baseline and context are the same for all.
    Touchpoint-only models are all candidates in all settings, not repaired. The model with journey terms is, in each
    fold, the candidate and setting that was best on a third of the training customers held back; no tested row takes
    part in that choice.

    Which touchpoint-only model is best is seen on the tested rows, which favours touchpoints. A claim needs the
    interval of the paired difference, clustered by customer, to lie above 0 against *every one* of them: an
    intersection-union test, whose level of 5 % holds whichever is truly the best, without correction (Berger 1982).
    Comparing with one of them only would not do: where a penalty has shrunk the touchpoints too far, terms that repeat
    them loosen it and look like a gain. Journey terms that are noise can only cost, so that under a null claims are
    rarer than 5 %. Models are held fixed: how gains would vary had others been trained is not in the intervals. What
    no candidate can make of touchpoints (a bend, an interaction) and a journey term holds is a gain, too.

    Only log loss decides: AUC and money are shown beside it, and no claim is made from them. Profit uses the best
    thresholds on the tested rows, which flatters both models alike.

    Cost: a fold fits every candidate once without journey terms, once with them on two thirds of its training
    customers, and one candidate again.

    References
    ----------
    Berger (1982), Multiparameter hypothesis testing and acceptance sampling, Technometrics 24 (intersection-union).
    DeLong, DeLong, Clarke-Pearson (1988), doi:10.2307/2531595, with clusters. Verbraken, Verbeke, Baesens (2013),
    doi:10.1109/TKDE.2012.50 (money). McFadden (1974), Conditional logit analysis of qualitative choice behavior (R2).
    """
    leaks = leak_warnings(frame, features) if leaks is None else leaks
    kept = kept_features(features, leaks, allow)
    views = _Views.of(kept)
    if not views.terms:
        return views.refused(
            "no feature joins several touchpoints of a journey. Flat tables have none; events with a journey and a "
            "time give them"
        )
    if not views.touchpoints:
        return views.refused("no feature is about touchpoints one by one, so there is nothing journeys could add to")
    known = in_order(known_rows(frame, kept, OUTCOME))
    plan = tuple(folds)
    if reason := too_few(known, plan):
        return views.refused(reason)
    tested = rivals(
        known,
        views.without,
        views.every,
        plan,
        rng,
        tick,
        families=families,
        added_families=families if journey_families is None else journey_families,
        max_rows=max_rows,
    )
    gains = (_loss_gain(tested, tested.best), _auc_gain(tested), _profit_gain(tested, offer))
    against = _against(tested)
    share = against[0]
    verdict = _verdict(against, matters)
    return replace(
        views.refused(""),
        verdict=verdict,
        sentence=_sentence(verdict, gains, tested, matters),
        gains=gains,
        share=share,
        against=against,
        best=tested.best,
        chosen=tested.chosen,
        n_rows=len(tested.joined),
        n_customers=_customers(tested.joined),
    )


class _Views(NamedTuple):
    """All features, those without journey terms, and the journey terms."""

    every: tuple[Feature, ...]
    without: tuple[Feature, ...]
    terms: tuple[Feature, ...]

    @classmethod
    def of(cls, features: Sequence[Feature]) -> _Views:
        terms = journey_terms(features)
        left_out = {one.name for one in terms}
        return cls(tuple(features), tuple(one for one in features if one.name not in left_out), terms)

    @property
    def touchpoints(self) -> tuple[str, ...]:
        """Features of touchpoints one by one."""
        return tuple(one.name for one in self.without if one.journey is not None and one.role != "recency")

    def refused(self, reason: str) -> Premium:
        """Say why nothing was compared."""
        return Premium(
            verdict="not compared",
            sentence=f"Journeys were not compared with touchpoints: {reason}.",
            gains=(),
            share=None,
            against=(),
            best="",
            chosen=(),
            touchpoint_terms=self.touchpoints,
            terms=tuple(one.name for one in self.terms),
            n_rows=0,
            n_customers=0,
        )


def _loss_gain(tested: Rivals, model: str) -> Gain:
    before, after = tested.loss(model), tested.loss()
    found = mean_difference(tested.joined, before, after, "log_loss")
    return _gain(found, tested.joined.mean(before), tested.joined.mean(after), model)


def _auc_gain(tested: Rivals) -> Gain:
    before, after = (auc(Ranking.of(one)).value for one in (tested.best_sample, tested.joined))
    return _gain(auc_difference(tested.joined, tested.best_sample), before, after, tested.best)


def _profit_gain(tested: Rivals, offer: Offer) -> Gain:
    before, after = (_profits(one, offer) for one in (tested.best_sample, tested.joined))
    found = mean_difference(tested.joined, after, before, "expected_max_profit")
    return _gain(found, tested.joined.mean(before), tested.joined.mean(after), tested.best)


def _profits(sample: Sample, offer: Offer) -> FloatArray:
    """Give what each row earns when the ranking is used as well as it can be."""
    ranking = Ranking.of(sample)
    profit, _ = expected_profit(ranking, recalibrate(ranking), offer)
    return np.asarray(profit.value + profit.influence, dtype=np.float64)


def _gain(found: Estimate, touchpoints: float, journeys: float, model: str) -> Gain:
    return Gain(found.metric, touchpoints, journeys, found.value, found.lo, found.hi, model)


def _against(tested: Rivals) -> tuple[Gain, ...]:
    """Compare with every touchpoint-only model, as shares, the best first; equals in the order of the candidates."""
    found = [_as_share(_loss_gain(tested, model), tested.joined) for model in tested.without]
    best = tested.best
    return tuple(sorted(found, key=lambda one: (one.model != best, -one.touchpoints)))


def _as_share(gain: Gain, sample: Sample) -> Gain:
    """Divide by the log loss of the churn rate alone; the rate's own uncertainty is left out, being of second order."""
    rate = sample.mean(sample.observed)
    entropy = -(rate * math.log(rate) + (1 - rate) * math.log1p(-rate))
    r2 = (1 - gain.touchpoints / entropy, 1 - gain.journeys / entropy)
    return Gain("mcfadden_r2", *r2, gain.gain / entropy, gain.lo / entropy, gain.hi / entropy, gain.model)


def _verdict(against: Sequence[Gain], matters: float) -> Verdict:
    if all(one.lo > 0 for one in against):
        return "journeys add"
    return "journeys add nothing that can be told" if against[0].hi < matters else "undecided"


def _sentence(verdict: Verdict, gains: Sequence[Gain], tested: Rivals, matters: float) -> str:
    loss, ranking, money = gains
    opening = {
        "journeys add": f"Journeys predict churn better than all {len(tested.without)} touchpoint-only models",
        "undecided": "It is undecided whether journeys predict churn better than touchpoints alone",
    }.get(
        verdict,
        f"Journeys add nothing that can be told (less than {100 * matters:g} % of the log loss of the churn rate)",
    )
    return (
        f"{opening}: log loss {loss.journeys:.4g} against {loss.touchpoints:.4g} by touchpoints ({tested.best}) on "
        f"rows not learned from, gain {loss.gain:+.2g} (90 % interval {loss.lo:+.2g} to {loss.hi:+.2g}); AUC "
        f"{ranking.gain:+.3f} ({ranking.lo:+.3f} to {ranking.hi:+.3f}); money {money.gain:+.3g} for each customer at "
        f"risk ({money.lo:+.3g} to {money.hi:+.3g}); n = {len(tested.joined):,} rows of "
        f"{_customers(tested.joined):,} customers."
    )


def _customers(sample: Sample) -> int:
    return int(sample.customer.max()) + 1
