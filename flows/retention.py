"""How many of today's customers stay if nothing is done, learned from those at risk at past cutoffs."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.contract import PanelContract
from features.panel import read_panel
from flows.departures import ALL, followed, months_followed
from flows.storage import Workspace
from models.retention import Retention, constant_retention, estimated_retention
from models.survival import MONTH_DAYS, observed_survival

__all__ = ["retention_of"]

_COLUMNS = ("customer_id", "customer_key", "cutoff", "weight")


def retention_of(workspace: Workspace, contract: PanelContract) -> Retention:
    """Follow the rows of the panel over the months of money.

    Parameters
    ----------
    workspace : Workspace
        A study with event tables, laid out.
    contract : PanelContract
        Of its panel.

    Returns
    -------
    Retention
        A constant hazard where too few can be followed through the horizon.
    """
    study = workspace.study
    months = study.money.months
    panel = read_panel(workspace.store.root, columns=_COLUMNS)
    rows = followed(workspace, contract.data_end, panel)
    # Months here have 30 days, those of money a twelfth of a year.
    lived = months_followed(workspace, rows, -(-31 * months // MONTH_DAYS))
    if not len(lived.row):
        return constant_retention(months)
    everybody = pd.Series(ALL, index=rows.index)
    weight = rows["weight"].to_numpy(np.float64)
    curve = observed_survival(lived, everybody, rows["customer_id"].to_numpy(), weight)
    return estimated_retention(curve, study.snapshot.horizon_days, months)
