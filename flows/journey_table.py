"""The table of journeys: how many there are, how long they are, how often something goes wrong in them."""

from __future__ import annotations

import pandas as pd

from flows.report_page import Column, Table, table
from flows.wording import dash, label, percent, whole
from models.estimates import wilson_of

__all__ = ["journeys_table"]


def journeys_table(journeys: pd.DataFrame) -> Table:
    """One row a journey type, in the order of the study.

    Parameters
    ----------
    journeys : DataFrame
        Of :class:`features.exploration.Exploration`.
    """
    columns = [
        Column("Journey", lambda row: label(row["journey"])),
        Column("Customers", lambda row: whole(row["customers"]), "number"),
        Column("Journeys", lambda row: whole(row["journeys"]), "number"),
        Column("Touchpoints", lambda row: whole(row["touchpoints"]), "number"),
        Column("Touchpoints a journey", lambda row: f"{row['touchpoints'] / row['journeys']:.2f}", "number"),
        Column("With several", lambda row: _share(row, "several", "journeys"), "number"),
        Column("Went wrong", lambda row: _share(row, "troubled", "told"), "number"),
        Column("Of these mended", lambda row: _share(row, "mended", "troubled"), "number"),
    ]
    note = (
        "Went wrong: of the journeys in which something can tell, those with a touchpoint at which a task was not "
        "done, a failure happened or a promise was broken. Mended: the last touchpoint that can tell says that all is "
        "well. Below a share: 90 % interval, journeys of one customer counted as one."
    )
    return table("Journeys in the order of a customer's life", columns, journeys, note)


def _share(row: pd.Series, count: str, of: str) -> str:
    if not row[count]:
        return dash
    share = row[count] / row[of]
    # as many effective customers in a part as its share of the journeys
    lo, hi = wilson_of(share, row["n_effective"] * row[of] / row["journeys"])
    return f"{percent(share, 1)}\n{100 * float(lo):.1f} to {percent(float(hi), 1)}"
