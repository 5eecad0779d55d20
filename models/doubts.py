"""What is shown beside an effect: how far a hidden cause could move it, how strong it had to be, the placebo."""

from __future__ import annotations

from typing import Any

import numpy as np

from models.effects import Effect, Estimate
from models.placebo import Placebo
from models.sensitivity import Bound
from models.verdicts import Ruling

__all__ = ["COLUMNS", "as_far_as_the_past", "doubts"]

_OF_OUTCOME = (
    "as_strong_as", "bend", "band_lo", "band_hi", "times_as_strong", "robustness_value", "robustness_value_of_interval",
)  # fmt: skip
COLUMNS = (
    "effect_verdict", "effect_reason",
    *(f"{outcome}_{column}" for outcome in ("churn", "revenue") for column in _OF_OUTCOME),
    "placebo", "placebo_effect", "placebo_lo", "placebo_hi", "placebo_n",
)  # fmt: skip


def doubts(effect: Effect, ruling: Ruling, placebo: Placebo | None) -> dict[str, object]:
    """Lay out what speaks against an effect.

    Parameters
    ----------
    effect : Effect
        With its sensitivity; without it numbers are missing.
    ruling : Ruling
        Its verdict.
    placebo : Placebo or None
        The same on the past.

    Returns
    -------
    dict of str to object
        `COLUMNS`, for churn and for revenue: `as_strong_as` (the covariate as strong as which a hidden cause would move
        the effect most), `bend` (by how much), `band_lo` and `band_hi` (the 90 % interval widened by it; of revenue,
        where the placebo fails, at least by what the same change seems to have moved before),
        `times_as_strong` (how many times as strong it had to be to bring the effect to zero), `robustness_value` (equal
        shares of variance that bring the effect to zero) and `robustness_value_of_interval` (that bring its nearer
        end there); the placebo in currency per customer over the horizon.
    """
    found: dict[str, object] = {"effect_verdict": ruling.verdict, "effect_reason": ruling.reason}
    known = effect.sensitivity
    pairs = (("churn", effect.churn, known.churn if known else None),
             ("revenue", effect.revenue, known.revenue if known else None))  # fmt: skip
    for outcome, estimate, bound in pairs:
        numbers = _of_outcome(estimate, bound)
        if outcome == "revenue" and placebo is not None and ruling.placebo == "fails":
            numbers = (*numbers[:2], *as_far_as_the_past(estimate, numbers[2:4], placebo), *numbers[4:])
        found |= {f"{outcome}_{column}": value for column, value in zip(_OF_OUTCOME, numbers, strict=True)}
    past = (placebo.effect.value, placebo.effect.lo, placebo.effect.hi) if placebo else (np.nan,) * 3
    found |= dict(zip(COLUMNS[-5:], (ruling.placebo, *past, placebo.customers if placebo else np.nan), strict=True))
    return found


def as_far_as_the_past(estimate: Estimate, band: tuple[float, float], placebo: Placebo) -> tuple[float, float]:
    """Let the band of an effect on revenue reach as far as the same change seems to have moved past spend.

    Parameters
    ----------
    estimate : Estimate
        Effect on revenue, currency per customer over the horizon.
    band : (float, float)
        By the strongest covariate; NaN without covariates.
    placebo : Placebo
        A failing one, in the same unit.

    Returns
    -------
    (float, float)
        What moves past spend along with quality is taken to move spend to come by no more than that, in the same
        direction: the assumption of equal bias of difference-in-differences (Sofer and others 2016,
        doi:10.1214/16-STS558). The far end of the placebo's 90 % interval counts.
    """
    past = placebo.effect
    lo = estimate.lo - max(past.hi, 0.0) if past.value > 0 else estimate.lo
    hi = estimate.hi - min(past.lo, 0.0) if past.value < 0 else estimate.hi
    return float(np.fmin(band[0], lo)), float(np.fmax(band[1], hi))


def _of_outcome(estimate: Estimate, bound: Bound | None) -> tuple[Any, ...]:
    if bound is None or not bound.ways:
        return ("", *(np.nan,) * 6)
    name, far = bound.strongest, abs(estimate.value)
    near = far - estimate.z * estimate.spread
    band, times = bound.band(estimate, name), bound.times(far, name)
    return (
        name, bound.of(name), band.lo, band.hi, times if np.isfinite(times) else np.nan,
        bound.robustness(far), bound.robustness(near),
    )  # fmt: skip
