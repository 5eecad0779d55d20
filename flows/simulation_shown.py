"""What `journeylift simulate` shows on the console: money first, then what it rests on, with every word explained."""

from __future__ import annotations

from functools import partial

import pandas as pd

from flows import console
from flows.hidden_causes import undone_by
from flows.sentences import constant_sentence
from flows.wording import chance, dash, decimal, money_short, points, whole

__all__ = ["effects_shown", "money_shown", "pairs_shown", "show"]

_SHOWN_PAIRS = 5

_MONEY_WORDS = (
    "worst tenth: mean net present value of the worst tenth of the draws; chance to pay: share of the draws above zero."
)
_EFFECT_WORDS = (
    "undone by: how strong something in no column had to be to explain the change of churn away; the less, the weaker."
)
_PAIR_WORDS = "counted twice: points of churn that both change alone, but only once together."


def show(
    found: pd.DataFrame, pairs: pd.DataFrame, currency: str, *, horizon_days: int, months: int, customers: int
) -> None:
    """Show what was simulated, most valuable first.

    Parameters
    ----------
    found : DataFrame
        Of `models.simulation.Comparison.to_frame`.
    pairs : DataFrame
        What two do together: of `models.combinations.Combinations.to_frame`.
    currency : str
        Of all money.
    horizon_days, months, customers : int
        Over which effects and money are counted, and for how many.
    """
    rows = found.sort_values("npv", ascending=False, na_position="last", kind="stable")
    title = f"Money of {customers:,} customers over {months} months, {currency}, by initiative"
    console.show_table(title, money_shown(rows, currency))
    console.say(_MONEY_WORDS)
    if constant := constant_sentence(found, currency):
        console.say(constant)
    estimated = rows[rows["npv"].notna()]
    if len(estimated):
        title = (
            f"Effect within {horizon_days} days per customer at risk, n = {whole(estimated['n'].max())}, by initiative"
        )
        console.show_table(title, effects_shown(estimated, currency))
        console.say(_EFFECT_WORDS)
    if len(pairs):
        told = pairs.head(_SHOWN_PAIRS)
        console.show_table("Pairs whose value differs most from the sum of both", pairs_shown(told, currency))
        console.say(_PAIR_WORDS)


def money_shown(rows: pd.DataFrame, currency: str) -> pd.DataFrame:
    """Put the money of initiatives into words.

    Returns
    -------
    DataFrame
        Text, in the order of `rows`.
    """
    money = partial(money_short, currency=currency)
    return pd.DataFrame(
        {
            "initiative": rows["name"],
            "net present value (90 %)": console.intervals(rows, ("npv", "npv_lo", "npv_hi"), money),
            "cost": [money(value) for value in rows["cost"].astype(float)],
            "worst tenth": [money(value) for value in rows["npv_worst"].astype(float)],
            "chance to pay": [chance(value) for value in rows["p_npv_positive"].astype(float)],
            "verdict": rows["verdict"],
        }
    )


def effects_shown(rows: pd.DataFrame, currency: str) -> pd.DataFrame:
    """Put the effects of initiatives into words; as `money_shown`."""
    return pd.DataFrame(
        {
            "initiative": rows["name"],
            "churn, points (90 %)": console.intervals(rows, ("churn_effect", "churn_lo", "churn_hi"), points),
            f"revenue, {currency} (90 %)": console.intervals(
                rows, ("revenue_effect", "revenue_lo", "revenue_hi"), partial(decimal, digits=2)
            ),
            "verdict on effect": [one if isinstance(one, str) else dash for one in rows["effect_verdict"]],
            "undone by": [undone_by(row) for _, row in rows.iterrows()],
        }
    )


def pairs_shown(rows: pd.DataFrame, currency: str) -> pd.DataFrame:
    """Put pairs of initiatives into words; as `money_shown`."""
    money = partial(money_short, currency=currency)
    return pd.DataFrame(
        {
            "pair": [f"{one}\n+ {other}" for one, other in zip(rows["first"], rows["second"], strict=True)],
            "counted twice": [points(-value) for value in rows["churn_overlap"].astype(float)],
            "sum alone": [money(value) for value in rows["npv_sum"].astype(float)],
            "together (90 %)": console.intervals(rows, ("npv_together", "npv_together_lo", "npv_together_hi"), money),
            "difference (90 %)": console.intervals(rows, ("difference", "difference_lo", "difference_hi"), money),
        }
    )
