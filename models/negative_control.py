"""Negative controls: what the study says cannot matter is moved too, and must do nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from models.adjustment import Exposure
from models.driver_tests import holm
from models.effects import Effect
from models.initiatives import Initiative
from models.levers import standard_improvement
from models.policy import policy_effect
from models.shared_fits import SharedFits
from models.verdicts import CHECK_LEVEL

__all__ = ["COLUMNS", "NegativeControl", "checked", "failure", "negative_controls", "to_frame"]

COLUMNS = (
    "journey", "measure", "change", "churn_effect", "churn_lo", "churn_hi", "revenue_effect", "revenue_lo",
    "revenue_hi", "n", "check",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class NegativeControl:
    """The effect of improving what cannot matter.

    Attributes
    ----------
    exposure : Exposure
        Measure that the study marks, in a journey.
    change : str
        How it was moved, in words.
    effect : Effect
        Truly zero, if the study is right.
    passes : bool
        Whether it is nothing but chance: both outcomes by Bonferroni, all controls by Holm, at 5 %.
    """

    exposure: Exposure
    change: str
    effect: Effect
    passes: bool


def negative_controls(fits: SharedFits) -> tuple[NegativeControl, ...]:
    """Estimate one standard improvement of every measure that the study marks `negative_control`.

    Parameters
    ----------
    fits : SharedFits
        Models of a prepared study.

    Returns
    -------
    tuple of NegativeControl
        By journey and measure, in the order of the study; empty when none is marked or seen.

    References
    ----------
    Lipsitch, Tchetgen Tchetgen, Cohen (2010), Negative controls, doi:10.1097/EDE.0b013e3181d61eeb.
    """
    prepared = fits.prepared
    marked = {m.name: m for m in prepared.study.measures if m.negative_control}
    found = []
    for reference in prepared.references:
        exposure = reference.exposure
        if exposure.measure in marked:
            change = standard_improvement(marked[exposure.measure], exposure.journey)
            initiative = Initiative(name="control", changes=(change,))
            found.append((exposure, change.describe(), policy_effect(fits, initiative).effect))
    return checked(found)


def checked(found: Sequence[tuple[Exposure, str, Effect]]) -> tuple[NegativeControl, ...]:
    """Say of each effect whether it is nothing but chance, all together."""
    p = np.array([min(2 * _p_value(effect), 1.0) for _, _, effect in found], np.float64)
    return tuple(
        NegativeControl(exposure, change, effect, bool(adjusted > CHECK_LEVEL))
        for (exposure, change, effect), adjusted in zip(found, holm(p), strict=True)
    )


def _p_value(effect: Effect) -> float:
    return float(2 * stats.norm.sf(max(abs(effect.churn.t), abs(effect.revenue.t))))


def failure(controls: Sequence[NegativeControl]) -> str:
    """Name the controls that fail, in words for a verdict; empty when none does."""
    failing = [str(one.exposure) for one in controls if not one.passes]
    return f"what cannot matter ({', '.join(failing)}) seems to have an effect too" if failing else ""


def to_frame(controls: Sequence[NegativeControl]) -> pd.DataFrame:
    """Lay controls out as a table with `COLUMNS`; effects in probability and in currency per customer."""
    rows = [
        (
            one.exposure.journey, one.exposure.measure, one.change,
            one.effect.churn.value, one.effect.churn.lo, one.effect.churn.hi,
            one.effect.revenue.value, one.effect.revenue.lo, one.effect.revenue.hi,
            one.effect.customers, "passes" if one.passes else "fails",
        )
        for one in controls
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS))
