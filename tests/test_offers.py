import math

import pandas as pd
import pytest

from features.study import Study, parse_study
from flows.offers import priced_offer
from models.profit import Offer

STUDY = """\
study: tiny
sources: {t: t.csv}
journeys: [{name: use, stage: use}]
measures: [{name: wait, unit: min, kind: duration, direction: lower, journey: use}]
flat: {from: t, churned: left}
money: {margin: 0.5}
snapshot: {horizon_days: 73}
"""


@pytest.fixture(scope="module")
def study() -> Study:
    return parse_study(STUDY, "study.yaml")


def test_a_customer_is_worth_a_years_margin_and_the_rest_scales_with_it(study: Study) -> None:
    frame = pd.DataFrame({"revenue": [100.0, 20.0, math.nan], "weight": [3.0, 1.0, 9.0]})
    offer = priced_offer(study, frame)
    assert offer.customer_value == pytest.approx(80 * 365 / 73 * 0.5)  # a mean of 80 in 73 days, margin a half
    assert offer.incentive_cost == pytest.approx(offer.customer_value * 10 / 200)
    assert offer.contact_cost == pytest.approx(offer.customer_value * 1 / 200)
    assert (offer.alpha, offer.beta) == (6.0, 14.0)


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"weight": [1.0]}),
        pd.DataFrame({"revenue": [math.nan], "weight": [1.0]}),
        pd.DataFrame({"revenue": [-5.0], "weight": [1.0]}),
    ],
    ids=["no revenue", "unknown revenue", "refunds only"],
)
def test_without_revenue_the_prices_are_those_of_the_paper(study: Study, frame: pd.DataFrame) -> None:
    assert priced_offer(study, frame) == Offer()
