"""The table of drivers: one row a touchpoint under its journey, with everything that goes along with an outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from flows import console
from flows.wording import label, p_value, percent, points, short_name, signed

__all__ = ["COLUMNS", "LINEAR", "driver_table", "drivers_of", "journeys_of", "show_driver_table", "with_refits"]

COLUMNS: Final = (
    "outcome", "level", "journey", "driver", "feature", "reach", "n", "performance", "performance_lo",
    "performance_hi", "r2", "share", "share_lo", "share_hi", "tier", "in_top_3", "quality_part", "reach_part",
    "alone_r2", "last_r2", "p_value", "p_adjusted", "share_mcfadden", "share_mcfadden_error", "mcfadden_r2",
    "better", "point", "point_lo", "point_hi", "population_point", "population_point_lo", "population_point_hi",
    "penalty", "penalty_lo", "penalty_hi", "reward", "reward_lo", "reward_hi", "kind", "kind_reason", "is_nonlinear",
    "warning",
)  # fmt: skip
"""Columns in this order; those that nothing is known of are left out."""

_TEXT: Final = ("better", "kind", "kind_reason", "warning")

_ONE_SUM: Final = 0.01
"""How far apart the sum over drivers and the journey as one player may lie: sampled orders are off by less."""

LINEAR: Final = (
    "This outcome is 0 or 1. Shares are of the variance of that, and R² is how far the mean predicted risk of those "
    "with the outcome lies above that of all others."
)
"""What R2 of a 0/1 outcome means."""

_PARTS: Final = {"quality": "quality_part", "reach": "reach_part"}
_POINTS: Final = {
    f"{old}{end}": f"{new}{end}"
    for old, new in {"effect": "point", "population_effect": "population_point"}.items()
    for end in ("", "_lo", "_hi")
}
"""Names of the ratings' models beside ours: a table of association does not speak of effects."""


def driver_table(
    shares: pd.DataFrame,
    journeys: pd.DataFrame,
    reach: pd.DataFrame,
    ratings: pd.DataFrame,
    codes: Mapping[str, str],
    refusals: Sequence[str] = (),
) -> pd.DataFrame:
    """Put together what is known of drivers and of their journeys.

    Parameters
    ----------
    shares : DataFrame
        One row an outcome and driver, from :meth:`models.importance.Association.to_frame`; ``p_value`` and
        ``p_adjusted`` are used when they are there.
    journeys : DataFrame
        The same of whole journeys, from :func:`flows.driver_shares.journey_shares`; may be empty.
    reach : DataFrame
        From :func:`flows.driver_shares.reaches`.
    ratings : DataFrame
        From :func:`flows.ratings.rate_drivers`; may be empty.
    codes : mapping of str to str
        What to know of the values of a feature, from :func:`models.rating_quality.code_warnings`.
    refusals : sequence of str
        Why nothing is ranked, as "outcome: reason": said once, not beside every driver.

    Returns
    -------
    DataFrame
        `COLUMNS` for every outcome: a journey (``level`` "journey"), then its drivers (``level`` "driver"). Journeys
        and, within them, drivers by falling share; ties and rows without a share by name. A rating that is no driver
        of its own, such as one touchpoint's, has no share. ``reach`` is the share of the customers to whom it applied.

        Of a journey ``share``, ``quality_part`` and ``reach_part`` are the sums over its drivers; interval and tier
        are those of the journey as one player, whose share is the same sum.
    """
    drivers = shares.rename(columns=_PARTS).drop(columns="n")
    for refusal in refusals:
        outcome, _, reason = refusal.partition(": ")
        own = drivers["outcome"] == outcome
        drivers.loc[own, "warning"] = [text.removesuffix(reason).strip() for text in drivers.loc[own, "warning"]]
    applied = reach.loc[reach["level"] == "driver", ["outcome", "feature", "reach", "n"]] if len(reach) else None
    if applied is not None:
        drivers = drivers.merge(applied, on=["outcome", "feature"], how="left", validate="one_to_one")
    drivers = _with_ratings(drivers, ratings).assign(level="driver")
    drivers["warning"] = _each(drivers["feature"].map(codes), drivers["warning"])
    rows = pd.concat([_journey_rows(drivers, journeys, reach), drivers], ignore_index=True)
    return _ordered(rows)


def with_refits(table: pd.DataFrame, refits: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Add the shares of a logistic fit, from :meth:`models.churn_shares.ChurnShares.to_frame`, summed over journeys."""
    if not refits:
        return table
    columns = ["outcome", "feature", "share_mcfadden", "share_mcfadden_error", "mcfadden_r2"]
    found = pd.concat(refits, ignore_index=True)[columns].assign(level="driver")
    both = table.merge(found, on=["outcome", "feature", "level"], how="left", validate="many_to_one")
    keys = [both["outcome"], both["journey"]]
    sums = both["share_mcfadden"].groupby(keys).transform(lambda own: own.sum(min_count=1))
    # errors of drivers depend on each other, so that those of their sum are known only where all are exact
    error = both["share_mcfadden_error"].groupby(keys).transform("max").where(lambda worst: worst == 0)
    is_journey = both["level"] == "journey"
    both.loc[is_journey, "share_mcfadden"] = sums[is_journey]
    both.loc[is_journey, "share_mcfadden_error"] = error[is_journey]
    both["mcfadden_r2"] = both["mcfadden_r2"].groupby(both["outcome"]).transform("max")
    return both[[name for name in COLUMNS if name in both]]


def drivers_of(table: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """Rows of an outcome's drivers, in the order of the table."""
    return table[(table["outcome"] == outcome) & (table["level"] == "driver")]


def journeys_of(table: pd.DataFrame, outcome: str) -> pd.DataFrame:
    """Rows of an outcome's journeys, in the order of the table."""
    return table[(table["outcome"] == outcome) & (table["level"] == "journey")]


def _with_ratings(drivers: pd.DataFrame, ratings: pd.DataFrame) -> pd.DataFrame:
    """Set ratings beside their driver; those without one become rows of their own."""
    if ratings.empty:
        return drivers
    told = ratings.rename(columns=_POINTS | {"warning": "kind_reason"})
    keys = ["outcome", "feature"]
    beside = told.drop(columns=["journey", "driver", "reach", "n"])
    found = drivers.merge(beside, on=keys, how="left", validate="one_to_one")
    known = pd.MultiIndex.from_frame(drivers[keys])
    alone = told[~pd.MultiIndex.from_frame(told[keys]).isin(known)]
    return pd.concat([found, alone], ignore_index=True)


def _each(*columns: pd.Series) -> list[str]:
    """Join the sentences of a row; what is missing is none."""
    told = zip(*columns, strict=True)
    return ["; ".join(str(text) for text in row if isinstance(text, str) and text) for row in told]


def _journey_rows(drivers: pd.DataFrame, journeys: pd.DataFrame, reach: pd.DataFrame) -> pd.DataFrame:
    """Sum drivers up; interval, tier and reach come from the journey as one player."""
    keys = ["outcome", "journey"]
    summed = drivers.groupby(keys, sort=False)[["share", "quality_part", "reach_part"]].sum(min_count=1)
    found = summed.join(drivers.groupby(keys, sort=False)["r2"].max()).reset_index()
    found = found.assign(level="journey", driver="", feature="", warning="")
    if len(journeys):
        whole = ["share_lo", "share_hi", "tier", "in_top_3"]
        one = journeys[[*keys, "share", *whole]].rename(columns={"share": "as_one"})
        found = found.merge(one, on=keys, how="left")
        # Another ranking than that of the drivers has no interval for their sum.
        found.loc[~((found["as_one"] - found["share"]).abs() <= _ONE_SUM), whole] = np.nan
        found = found.drop(columns="as_one")
    if len(reach):
        own = reach.loc[reach["level"] == "journey", [*keys, "reach", "n"]]
        found = found.merge(own, on=keys, how="left")
    return found


def _ordered(rows: pd.DataFrame) -> pd.DataFrame:
    """Sort outcomes as they came, journeys and their drivers by share, and choose the columns."""
    outcomes = {name: place for place, name in enumerate(rows["outcome"].drop_duplicates())}
    is_journey = rows["level"] == "journey"
    sums = rows[is_journey].set_index(["outcome", "journey"])["share"].to_dict()
    keyed = rows.assign(
        outcome_key=rows["outcome"].map(outcomes),
        journey_key=[-sums.get(key, np.nan) for key in zip(rows["outcome"], rows["journey"], strict=True)],
        level_key=~is_journey,
        share_key=-rows["share"],
    )
    order = ["outcome_key", "journey_key", "journey", "level_key", "share_key", "driver"]
    found = keyed.sort_values(order, kind="stable", na_position="last").reset_index(drop=True)
    texts = {name: found[name].fillna("") for name in _TEXT if name in found}
    tier = found["tier"].fillna(0).astype(int)
    return found.assign(**texts, tier=tier)[[name for name in COLUMNS if name in found]]


def show_driver_table(table: pd.DataFrame) -> None:
    """Print one table an outcome, R2 first, journeys before their drivers, and the warnings below it."""
    for outcome, rows in table.groupby("outcome", sort=False):
        is_driver = rows["level"] == "driver"
        r2 = percent(float(rows["r2"].max()), 1)
        if rows["share"].isna().all() and ("performance" not in rows or rows["performance"].isna().all()):
            continue
        explained = f"all drivers together explain {r2} of its variance (R²)"
        title = f"Association with {outcome}: {explained if rows['share'].notna().any() else 'not ranked'}"
        console.show_table(title, pd.DataFrame(_shown(rows, is_driver, str(outcome))))
        if "share_mcfadden" in rows and rows["share_mcfadden"].notna().any():
            console.say(f"note: {LINEAR}")
        for _, row in rows[rows["warning"] != ""].iterrows():
            console.say(f"note: {label(row['journey'], short_name(row['driver']))}: {row['warning']}")


def _shown(rows: pd.DataFrame, is_driver: pd.Series, outcome: str) -> dict[str, list[str]]:
    """Choose the columns for the console: those that say something."""
    names = zip(rows["journey"], rows["driver"], is_driver, strict=True)
    found = {"journey / driver": [f"  {short_name(name)}" if own else label(journey) for journey, name, own in names]}
    amount = points if outcome == "churn" else signed
    for title, column, write in (
        ("applied to", "reach", percent),
        ("0 to 100", "performance", _rounded),
        ("share (90 %)", "share", percent),
        ("tier", "tier", _tier),
        ("McFadden", "share_mcfadden", percent),
        ("p (Holm)" if "p_adjusted" in rows else "p", "p_adjusted" if "p_adjusted" in rows else "p_value", p_value),
        ("+1 point (90 %)", "point", amount),
    ):
        if column in rows and rows[column].notna().any():
            found[title] = _cells(rows, column, write, with_interval="90 %" in title)
    if "kind" in rows and (rows["kind"] != "").any():
        found["class"] = rows["kind"].tolist()
    return found


def _cells(rows: pd.DataFrame, column: str, write: Callable[[float], str], *, with_interval: bool) -> list[str]:
    """Write a column, with its interval where it has one; nothing where there is nothing."""
    values = rows[column].astype(float)
    texts = ["" if np.isnan(value) else write(value) for value in values]
    if not with_interval:
        return texts
    ends = zip(rows[f"{column}_lo"].astype(float), rows[f"{column}_hi"].astype(float), strict=True)
    return [
        f"{text} ({write(lo)} to {write(hi)})" if text and np.isfinite(lo) else text
        for text, (lo, hi) in zip(texts, ends, strict=True)
    ]


def _rounded(value: float) -> str:
    return f"{value:.0f}"


def _tier(value: float) -> str:
    return f"{value:.0f}" if value else ""
