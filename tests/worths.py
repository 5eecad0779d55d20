"""Made-up effects and forecasts for tests of money."""

from __future__ import annotations

import numpy as np

from models.effects import Effect, Estimate
from models.forecasts import Forecast, Overlap
from models.initiatives import Change, Initiative

CHANGE = Change(journey="support", measure="wait", scale=0.5)


def an_effect(churn=-0.01, spend=0.0, se=0.0, base_churn=0.06, base_revenue=90.0, customers=400, form=0.0, at=0):
    """An effect whose influence functions give the stated standard errors, independent of each other."""
    influence = np.zeros((customers, 3))
    influence[at, 0] = influence[at + 1, 2] = se
    revenue = Estimate(spend - churn * base_revenue / 2, se, form)
    return Effect(
        Estimate(churn, se, form), revenue, Estimate(spend, se, form), base_churn, base_revenue, influence, customers
    )


def an_initiative(name="one", **given):
    return Initiative(name=name, changes=(CHANGE,), **given)


def a_forecast(name="one", effect=None, reached=0.5, contacts=0.2, half=None, **given):
    return Forecast(an_initiative(name, **given), effect or an_effect(), 1.0, reached, contacts, half)


def an_overlap(names, churn=0.0, spend=0.0, se=0.0, customers=400):
    influence = np.zeros((customers, 3))
    influence[9, 0] = influence[10, 2] = se
    return Overlap(names, Estimate(churn, se), Estimate(spend, se), Estimate(spend, se), influence)
