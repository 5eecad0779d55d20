"""What an offer to stay costs and brings in a study: the yardstick in money for rankings of customers."""

import numpy as np
import pandas as pd

from features.study import Study
from models.profit import Offer

__all__ = ["priced_offer"]


def priced_offer(study: Study, frame: pd.DataFrame) -> Offer:
    """Price an offer to stay: a customer is worth a year's margin; incentive and contact cost the paper's shares.

    Parameters
    ----------
    study : Study
        Its margin and horizon.
    frame : DataFrame
        Mature rows of its panel: weight and, where it is known, revenue over the horizon.

    Returns
    -------
    Offer
        In the study's currency; the paper's own (200, 10, 1) where no revenue is known or it is not above zero.
    """
    paper = Offer()
    known = frame.loc[frame["revenue"].notna()] if "revenue" in frame else frame.iloc[:0]
    if known.empty:
        return paper
    yearly = float(np.average(known["revenue"], weights=known["weight"])) * 365 / study.snapshot.horizon_days
    value = yearly * study.money.margin
    if not value > 0:
        return paper
    scale = value / paper.customer_value
    return Offer(value, scale * paper.incentive_cost, scale * paper.contact_cost)
