"""Effects in a word, by stated rules: chance, hidden causes and checks of known answer, a list of effects together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from models.driver_tests import holm
from models.effects import Effect, Estimate
from models.placebo import Placebo
from models.sensitivity import Bound

__all__ = ["LEAST_CUSTOMERS", "LEAST_SUPPORT", "Evidence", "Ruling", "Verdict", "critical_value", "judge"]

Array = NDArray[np.float64]
Verdict = Literal["likely", "possible", "undecided", "harmful", "mixed", "unsupported"]
Check = Literal["passes", "fails", "not known"]

CHANCE = 0.05
"""Of lists of useless initiatives so many at most hold one that is good by chance, and as many one that is harmful."""
CHECK_LEVEL = 0.05
DRAWS = 20_000
LEAST_SUPPORT = 0.5
LEAST_CUSTOMERS = 200
"""Below this normal intervals are not to be trusted; the association table refuses to rank below the same number."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the verdict on one effect rests on.

    Attributes
    ----------
    effect : Effect
        With its sensitivity, or none where it was not estimated.
    support_share : float
        Share of moved values that lie inside what was observed.
    placebo : Placebo or None
        Effect of the same on the past; None where it could not be looked at: then the effect is at most possible.
    """

    effect: Effect
    support_share: float
    placebo: Placebo | None = None


@dataclass(frozen=True, slots=True)
class Ruling:
    """The verdict on one effect and what led to it.

    Attributes
    ----------
    verdict : str
        likely, possible, undecided, harmful, mixed or unsupported.
    reason : str
        For people.
    placebo : str
        Whether the effect on the past is nothing but chance (Holm over the list): passes, fails, or not known.
    """

    verdict: Verdict
    reason: str
    placebo: Check


def critical_value(effects: Sequence[Effect], rng: np.random.Generator) -> float:
    """Say by how many standard errors an effect must be good, or bad, for chance to be ruled out over the whole list.

    Parameters
    ----------
    effects : sequence of Effect
        Estimated on the same customers; churn and revenue of each count.
    rng : numpy.random.Generator
        Draws the best of the correlated deviations.

    Returns
    -------
    float
        The 95 % quantile of the best t (fewer leave, more is spent) when nothing has an effect, which is that of the
        worst, too; that of a single normal where nothing moves.

    Notes
    -----
    Joint normality by the influence functions; effects that rest on the same customers and touchpoints are correlated,
    which Bonferroni would waste. One-sided, for either direction by itself: where what keeps customers also lowers what
    they spend, the best and the worst t are large in the same lists, and of the 10 % in which |t| is large up to 6.5 %
    would hold a bad one, as many a good one.

    References
    ----------
    Hothorn, Bretz, Westfall (2008), doi:10.1002/bimj.200810425 (simultaneous inference by the largest t).
    """
    gains = ((e.influence[:, k] * good, one) for e in effects for k, good, one in ((0, -1, e.churn), (1, 1, e.revenue)))
    columns = [influence for influence, one in gains if one.se > 0]
    moving = [c / size for c in columns if (size := float(np.sqrt(c @ c))) > 0]
    if not moving:
        return float(ndtri(1 - CHANCE))
    stacked = np.column_stack(moving)
    values, vectors = np.linalg.eigh(stacked.T @ stacked)
    draws = rng.standard_normal((DRAWS, len(values))) @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
    return float(np.quantile(draws.max(axis=1), 1 - CHANCE))


def judge(evidence: Sequence[Evidence], rng: np.random.Generator, *, failed_control: str = "") -> tuple[Ruling, ...]:
    """Put effects into words.

    Parameters
    ----------
    evidence : sequence of Evidence
        All effects that are looked at together.
    rng : numpy.random.Generator
        For `critical_value`.
    failed_control : str
        Sentence on a negative control that failed; empty when none did. Then nothing is likely.

    Returns
    -------
    tuple of Ruling
        In the order of `evidence`. The first rule that applies: unsupported when less than half of the moved values
        lie inside what was observed; undecided below 200 customers; harmful when more leave or less is spent beyond
        chance (`critical_value`), mixed when the other outcome gains beyond chance; undecided when neither outcome
        gains beyond chance; likely when the same interval, widened by a hidden cause as strong as the strongest
        covariate, still gains in one outcome, the placebo passes and no negative control fails; possible otherwise, so
        also where no placebo can be looked at.
    """
    critical = critical_value([one.effect for one in evidence], rng)
    found = []
    for one, placebo in zip(evidence, placebo_checks([one.placebo for one in evidence]), strict=True):
        readings = _readings(one.effect, critical)
        failed = _FAILS if placebo == "fails" else failed_control
        verdict, reason = _verdict(one, readings, failed, _UNTESTED if placebo == "not known" else "")
        found.append(Ruling(verdict, reason, placebo))
    return tuple(found)


_FAILS = "it seems to have moved past spend too (placebo)"
_UNTESTED = "too little of the past is known to test it there (no placebo)"


def placebo_checks(placebos: Sequence[Placebo | None]) -> tuple[Check, ...]:
    """Say of each placebo whether it fails at 5 % over all that are known (Holm 1979)."""
    known = [one for one in placebos if one is not None]
    adjusted = iter(holm(np.array([2 * ndtr(-abs(one.effect.t)) for one in known], np.float64)))
    return tuple(
        "not known" if one is None else "fails" if next(adjusted) <= CHECK_LEVEL else "passes" for one in placebos
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    """One outcome: how far it surely moves for good and for bad, how far a hidden cause could move it, in which words.

    `name` is the covariate as strong as which that cause is; empty where there is none.
    """

    surely: float
    surely_bad: float
    bend: float
    name: str
    gains: str
    loses: str


def _readings(effect: Effect, critical: float) -> list[_Reading]:
    known = effect.sensitivity
    return [
        _reading(-effect.churn.value, effect.churn, known.churn if known else None, critical, _LEAVING),
        _reading(effect.revenue.value, effect.revenue, known.revenue if known else None, critical, _SPENDING),
    ]


_LEAVING = ("fewer customers leave", "more customers leave")
_SPENDING = ("more is spent", "less is spent")


def _reading(gain: float, estimate: Estimate, bound: Bound | None, critical: float, words: tuple[str, str]) -> _Reading:
    name = bound.strongest if bound else ""
    bend = bound.of(name) if bound else float("nan")
    return _Reading(gain - critical * estimate.se, -gain - critical * estimate.se, bend, name, *words)


def _verdict(one: Evidence, readings: Sequence[_Reading], failed: str, untested: str) -> tuple[Verdict, str]:
    if one.support_share < LEAST_SUPPORT:
        share = 100 * one.support_share
        return "unsupported", f"Only {share:.0f} % of the moved values lie within what was observed."
    if one.effect.customers < LEAST_CUSTOMERS:
        return "undecided", f"Only {one.effect.customers} customers; at least {LEAST_CUSTOMERS} are needed to decide."
    clear, bad = [r for r in readings if r.surely > 0], [r for r in readings if r.surely_bad > 0]
    if clear and bad:
        return "mixed", f"Beyond chance {clear[0].gains}, but {bad[0].loses}."
    if bad:
        return "harmful", _harm(bad, failed)
    if not clear:
        return "undecided", "Chance alone could explain it."
    return _against_hidden_causes(clear, failed or untested)


def _harm(bad: Sequence[_Reading], failed: str) -> str:
    """Say what gets worse, and whether something else than the initiative could explain it."""
    said = f"Beyond chance {' and '.join(r.loses for r in bad)}"
    if bad[0].name and not any(r.surely_bad > r.bend for r in bad):
        return f"{said}; a hidden cause as strong as {_plain(bad[0].name)} could explain it."
    return f"{said}; {failed}." if failed else f"{said}."


def _against_hidden_causes(clear: Sequence[_Reading], failed: str) -> tuple[Verdict, str]:
    """Tell likely from possible, chance being ruled out."""
    beyond = [r for r in clear if r.surely > r.bend]
    if not clear[0].name:
        return "possible", "Beyond chance, but no covariate says how strong a hidden cause might be."
    if not beyond:
        return "possible", f"Beyond chance, but a hidden cause as strong as {_plain(clear[0].name)} could explain it."
    if failed:
        return "possible", f"Beyond chance, but {failed}."
    return "likely", f"Beyond chance, and beyond what a hidden cause as strong as {_plain(beyond[0].name)} could do."


def _plain(name: str) -> str:
    return name.replace("_", " ")
