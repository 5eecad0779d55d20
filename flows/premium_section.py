"""Is the journey view worth it? The answer for a manager: sentences, chart and table of the journey premium."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import pandas as pd

from flows.console import count
from flows.premium_chart import premium_chart
from flows.report_data import PremiumFound, ReportData
from flows.report_page import Block, Column, Section, Table, figure, table
from flows.wording import alike, decimal, money, percent, points, span, whole

__all__ = ["learned_sentence", "money_sentence", "premium_section", "premium_table", "read_premium", "verdict_sentence"]

_TITLE: Final = "Is the journey view worth it?"

_OPENINGS: Final = {
    "journeys add": "Yes: whole journeys predict better who will leave than touchpoints one by one.",
    "undecided": (
        "Undecided: these data cannot tell whether whole journeys predict better who will leave than touchpoints one "
        "by one."
    ),
    "journeys add nothing that can be told": (
        "No gain that matters: whole journeys predict who will leave no better, or hardly better, than touchpoints one "
        "by one."
    ),
}
_BARELY: Final = (
    "Yes, but hardly so that it matters: whole journeys predict slightly better who will leave than touchpoints one by "
    "one."
)

_RULE: Final = (
    "Above zero the journey view is better. The uncertainty explained is log loss once more, in per cent of what the "
    "churn rate alone leaves open; AUC and money are shown beside it and decide nothing."
)


def read_premium(content: Mapping[str, Any], *, is_stale: bool) -> PremiumFound:
    """Read what ``journeylift premium`` has written.

    Parameters
    ----------
    content : mapping
        Of ``premium.json``.
    is_stale : bool
        Data or features have changed since.

    Returns
    -------
    PremiumFound
        For sentences, chart and table.
    """
    offer = content["offer"]
    return PremiumFound(
        verdict=content["verdict"],
        gains=pd.DataFrame([content["share"], *content["gains"]]),
        rivals=pd.DataFrame(content["rivals"]),
        matters=content["matters"],
        n_rows=content["n_rows"],
        n_customers=content["n_customers"],
        tested=tuple(content["tested"]),
        n_touchpoint_terms=len(content["touchpoint_terms"]),
        n_terms=len(content["terms"]),
        value=offer["customer_value"],
        incentive=offer["incentive_cost"],
        contact=offer["contact_cost"],
        n_train=content["n_train"],
        most_rows=content["most_rows"],
        is_thorough=content["is_thorough"],
        is_stale=is_stale,
    )


def premium_section(data: ReportData) -> Section:
    """Answer whether whole journeys predict more, and say plainly when that is undecided or they do not."""
    found = data.premium
    if found is None:
        return Section("premium", _TITLE, "Journeys have not been compared with touchpoints. Run journeylift premium.")
    lead = verdict_sentence(found)
    chart = premium_chart(found.rivals, found.matters)
    drawn = figure(chart, "premium", f"Gain of journeys over each touchpoint model with 90 % intervals. {lead}")
    said = (money_sentence(found, data.header.currency), _rule_sentence(found))
    return Section(
        "premium",
        _TITLE,
        lead,
        (
            Block(sentences=said, figure=drawn, table=premium_table(found, data.header.currency)),
            Block("What this rests on", items=_basis_sentences(found)),
        ),
    )


def verdict_sentence(found: PremiumFound) -> str:
    """Say the verdict first, then what each view explains and the gain with its interval."""
    share = _row(found, "mcfadden_r2")
    before, after = percent(share["touchpoints"], 1), percent(share["journeys"], 1)
    opening = _OPENINGS[found.verdict]
    if found.verdict == "journeys add" and share["hi"] < found.matters:
        opening = _BARELY
    text = (
        f"{opening} Journeys explain {after} of the uncertainty about it, touchpoints alone {before}: "
        f"{points(share['gain'])} points (90 % interval {span(share['lo'], share['hi'], points)})."
    )
    return f"{text} Data or features have changed since: run journeylift premium again." if found.is_stale else text


def money_sentence(found: PremiumFound, currency: str) -> str:
    """Say what the gain is worth when the riskiest customers get an offer, and on which prices that rests."""
    write = partial(money, currency=currency)
    row = 1000 * _row(found, "expected_max_profit")[["gain", "lo", "hi"]].astype(float)
    more = "more" if row["gain"] >= 0 else "less"
    clear = "" if row["lo"] > 0 or row["hi"] < 0 else ": it may be nothing"
    return (
        f"In money: an offer to the customers with the highest risk earns {write(abs(row['gain']))} {more} for every "
        f"1,000 customers at risk when whole journeys say whom to approach (90 % interval "
        f"{span(row['lo'], row['hi'], write)}{clear}). A customer who stays is taken to be worth {write(found.value)}, "
        f"the offer costs {write(found.incentive)} and reaching a customer {write(found.contact)}."
    )


def _rule_sentence(found: PremiumFound) -> str:
    """Say how many of the intervals lie above zero, which is what the verdict asks for."""
    above, every = int((found.rivals["lo"] > 0).sum()), len(found.rivals)
    return (
        "The verdict rests on log loss alone. A yes needs the whole interval above zero against every model of single "
        f"touchpoints: it is for {above} of {every}. A no needs it to end below {100 * found.matters:g} points against "
        "the best of them."
    )


def _basis_sentences(found: PremiumFound) -> tuple[str, ...]:
    """Say on which rows and features the comparison rests, and what it does not say."""
    return (
        f"Tested on {whole(found.n_rows)} rows of {whole(found.n_customers)} customers at {', '.join(found.tested)}; "
        "both views learned from the same earlier cutoffs.",
        f"Both views know the facts about a customer and {count(found.n_touchpoint_terms, 'feature')} of touchpoints; "
        f"the journey view knows {whole(found.n_terms)} more, such as order, memory, endings and effort.",
        learned_sentence(found),
        "This is about prediction. Where to act is said by the effects: a journey that predicts nothing may be worth "
        "mending, and the other way round.",
    )


def learned_sentence(found: PremiumFound) -> str:
    """Say from how much each view could learn, and what a thorough comparison would add."""
    models = "Both views were tried in every kind of model"
    if not found.is_thorough:
        models = "Touchpoints were tried in every kind of model, whole journeys in two"
    text = f"{models}; each learned from at most {whole(min(found.most_rows, found.n_train))} rows."
    if found.is_thorough:
        return text
    if found.n_train <= found.most_rows:
        return f"{text} journeylift premium --thorough tries more."
    return (
        f"{text} There are up to {whole(found.n_train)}, and more rows tend to favour the journey view, which has "
        "more to learn: journeylift premium --thorough uses as many as train does, and tries both in every kind."
    )


def premium_table(found: PremiumFound, currency: str) -> Table:
    """One row a metric: both views and the gain with its interval."""
    columns = [
        Column("Measure", lambda row: row["name"]),
        Column("Touchpoints alone", lambda row: row["touchpoints"], "number"),
        Column("Whole journeys", lambda row: row["journeys"], "number"),
        Column("Gain", lambda row: row["gain"], "number"),
    ]
    rows = pd.DataFrame([_written(found, metric, currency) for metric in found.gains["metric"]])
    best = found.rivals["model"].iloc[0]
    caption = f"Whole journeys against the best model of single touchpoints, {best}, with 90 % intervals"
    return table(caption, columns, rows, _RULE)


_NAMES: Final = {
    "mcfadden_r2": "Uncertainty about who leaves explained, %",
    "log_loss": "Log loss (lower is better)",
    "auc": "AUC: a leaver is ranked above a stayer",
    "expected_max_profit": "Profit of the offer for 1,000 customers at risk",
}
_FACTORS: Final = {"mcfadden_r2": 100.0, "expected_max_profit": 1000.0}
"""From the units of the result to those of the table."""


def _written(found: PremiumFound, metric: str, currency: str) -> dict[str, str]:
    """Write a metric in its own unit; money and the part explained get the decimals of the report."""
    row = _FACTORS.get(metric, 1.0) * _row(found, metric)[["touchpoints", "journeys", "gain", "lo", "hi"]].astype(float)
    write = alike(row["gain"], row["lo"], row["hi"])
    if metric == "mcfadden_r2":
        write = partial(decimal, digits=2)
    elif metric == "expected_max_profit":
        write = partial(money, currency=currency)
    change = partial(_signed, write=write)
    return {
        "name": _NAMES[metric],
        "touchpoints": write(row["touchpoints"]),
        "journeys": write(row["journeys"]),
        "gain": f"{change(row['gain'])}\n{span(row['lo'], row['hi'], change)}",
    }


def _signed(value: float, write: Callable[[float], str]) -> str:
    """Write a plus sign in front of what is above zero and does not round to it."""
    text = write(value)
    return f"+{text}" if value > 0 and any(digit in text for digit in "123456789") else text


def _row(found: PremiumFound, metric: str) -> pd.Series:
    return found.gains[found.gains["metric"] == metric].iloc[0]
