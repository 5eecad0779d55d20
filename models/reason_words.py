"""A reason in words: ``support: wait mean 14 min (typical 6)``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.definitions import unit_suffix

if TYPE_CHECKING:
    from features.measures import Feature

__all__ = ["in_words", "sentences"]

_LATEST = {"last": "latest", "final": "at the end", "decayed": "lately", "recent": "lately", "burden": "remembered sum"}
_UNSAID = {"since", "total", "value"}


def sentences(feature: Feature, values: NDArray[Any], typical: object) -> NDArray[np.object_]:
    """Write one feature's values beside what is typical.

    Parameters
    ----------
    feature : Feature
        What they are values of.
    values : ndarray, shape (n,)
        Numbers, or text for categories; missing ones are said to be missing.
    typical : object
        Median or commonest category; None where nothing was recorded in the rows it is taken from.

    Returns
    -------
    ndarray of str, shape (n,)
    """
    label = in_words(feature)
    if feature.kind == "category":
        code, levels = pd.factorize(values, use_na_sentinel=False)
        spoken = ["unknown" if pd.isna(value) else str(value) for value in levels]
        said = [f"{label} {word}" + (f" (most: {typical})" if typical not in {None, word} else "") for word in spoken]
        if typical is None:
            said = [f"{label}: nothing recorded" if pd.isna(value) else said[at] for at, value in enumerate(levels)]
        return np.array(said, dtype=object)[code]
    is_share = feature.unit == "share" and not feature.name.endswith("__burden")
    unit = "" if feature.unit in {"", "share"} or feature.unit in label else f" {feature.unit}"
    usual = "" if typical is None else f" (typical {_number(float(str(typical)), is_share=is_share)}"
    missing = f"{label}: nothing recorded" if typical is None else f"{label} not recorded{usual}{unit})"
    # Many values read the same: each text is written once.
    shown, code = np.unique(_shown(np.asarray(values, np.float64), is_share=is_share), return_inverse=True)
    said = [
        missing
        if np.isnan(value)
        else f"{label} {_number(value, is_share=is_share)}{unit}" + (f"{usual})" if usual else "")
        for value in shown.tolist()
    ]
    return np.array(said, dtype=object)[code]


def _shown(values: NDArray[np.float64], *, is_share: bool) -> NDArray[np.float64]:
    """Round values to what `_number` shows of them; never minus zero."""
    if is_share:
        return np.asarray(np.round(values, 2) + 0.0)
    size = np.abs(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        digits = np.where(size >= 1, 1, np.where(size > 0, np.minimum(1 - np.floor(np.log10(size)), 300), 0))
    scale = 10.0 ** np.where(np.isfinite(digits) & (size < 10), digits, 0)
    return np.asarray(np.rint(values * scale) / scale + 0.0)


def in_words(feature: Feature) -> str:
    """Name a feature for people: ``support: wait mean``; without the unit, which stands behind the value."""
    where = [part for part in (feature.journey, feature.touchpoint) if part]
    words = [part for part in feature.name.split("__") if part not in {*where, "customer"}] or [feature.name]
    what = words[0].removesuffix("_count").removesuffix(f"_{unit_suffix(feature.unit)}").removesuffix("_days")
    statistic = words[-1] if len(words) > 1 else ""
    spoken = "" if statistic in _UNSAID else _LATEST.get(statistic, statistic)
    text = " ".join(f"{what} {spoken}".replace("_", " ").split())
    return f"{', '.join(where)}: {text}" if where else text


def _number(value: float, *, is_share: bool) -> str:
    """Write a number shortly; shares in per cent."""
    if is_share:
        return f"{100 * value:.0f} %"
    size = abs(value)
    return f"{value:,.0f}" if size >= 10 or value == round(value) else f"{value:.1f}" if size >= 1 else f"{value:.2g}"
