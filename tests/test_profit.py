import numpy as np
import pytest
from empulse.metrics import empc_score
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import beta

from models.brier import recalibrate
from models.estimates import Sample, estimate
from models.profit import Offer, expected_profit
from models.ranking import Ranking
from tests.forecasts import churners

OFFERS = [
    Offer(),
    Offer(customer_value=60, incentive_cost=20, contact_cost=3),
    Offer(customer_value=1000, incentive_cost=0, contact_cost=5, alpha=1, beta=1),
    Offer(customer_value=200, incentive_cost=10, contact_cost=0, alpha=2.5, beta=7),
]


def measured(sample: Sample, offer: Offer) -> tuple[float, float]:
    ranking = Ranking.of(sample)
    profit, share = expected_profit(ranking, recalibrate(ranking), offer)
    return profit.value, share.value


def equal_weights(sample: Sample) -> Sample:
    return Sample.of(sample.observed, sample.predicted, sample.customer, np.ones(len(sample)))


@pytest.mark.parametrize("offer", OFFERS)
@pytest.mark.parametrize("digits", [6, 1])
def test_profit_and_share_equal_empulse(offer, digits):
    s = equal_weights(churners(3000, 600, digits=digits))
    settings = {
        "clv": offer.customer_value,
        "incentive_cost": offer.incentive_cost,
        "contact_cost": offer.contact_cost,
        "alpha": offer.alpha,
        "beta": offer.beta,
    }
    profit, share = measured(s, offer)
    assert profit == pytest.approx(empc_score(s.observed, s.predicted, **settings), rel=1e-6)
    assert share == pytest.approx(empc_score.optimal_rate(s.observed, s.predicted, **settings), rel=1e-6)


def test_profit_equals_the_best_threshold_tried_out_for_each_acceptance():
    s, offer = churners(80, 40, digits=1), Offer()

    def best(accept: float) -> float:
        churner = accept * (offer.customer_value - offer.incentive_cost) - offer.contact_cost
        earned = np.where(s.observed == 1, churner, -offer.incentive_cost - offer.contact_cost)
        sums = [s.mean(earned * (s.predicted >= least)) for least in np.unique(s.predicted)]
        return max(0.0, *sums)

    def weighted(accept: float) -> float:
        return best(accept) * beta(offer.alpha, offer.beta).pdf(accept)

    assert measured(s, offer)[0] == pytest.approx(quad(weighted, 0, 1, limit=100)[0], rel=1e-4)


def test_a_perfect_ranking_contacts_the_churners_and_earns_what_they_bring():
    y = np.repeat([1.0, 0.0], [20, 80])
    # A churner brings 190 times acceptance less 1; below an acceptance of 1/190 nobody is contacted.
    profit, share = measured(Sample.of(y, y, np.arange(100), np.ones(100)), Offer())
    assert profit == pytest.approx(0.2 * (190 * 0.3 - 1), rel=1e-6)
    assert share == pytest.approx(0.2, rel=1e-6)


def test_an_offer_that_costs_nothing_is_made_to_all_churners():
    y = np.repeat([1.0, 0.0], [20, 80])
    free = Offer(customer_value=100, incentive_cost=0, contact_cost=0)
    assert measured(Sample.of(y, y, np.arange(100), np.ones(100)), free) == pytest.approx((0.2 * 100 * 0.3, 0.2))


def test_an_offer_that_nobody_is_worth_earns_nothing_and_is_made_to_nobody():
    dear = Offer(customer_value=11, incentive_cost=10, contact_cost=5)
    assert measured(churners(500, 100), dear) == (0.0, 0.0)


@given(st.permutations(range(60)))
def test_order_of_rows_and_ties_do_not_matter(order):
    s = churners(60, 20, seed=2, digits=1)
    mixed = Sample.of(*(column[list(order)] for column in (s.observed, s.predicted, s.customer, s.weight)))
    assert measured(mixed, Offer()) == pytest.approx(measured(s, Offer()))


def test_one_risk_for_all_is_all_or_nothing():
    y = np.repeat([1.0, 0.0], [20, 80])
    profit, share = measured(Sample.of(y, np.full(100, 0.3), np.arange(100), np.ones(100)), Offer())
    # All are contacted where acceptance is above (1 + 11 * 4) / 190.
    needed = 45 / 190
    assert share == pytest.approx(beta(6, 14).sf(needed))
    accepting = 0.3 * beta(7, 14).sf(needed)
    assert profit == pytest.approx(0.2 * (190 * accepting - share) - 0.8 * 11 * share)


def test_profit_counts_money_so_that_another_currency_multiplies_it():
    s = churners(500, 100)
    cents = Offer(20_000, 1000, 100)
    assert measured(s, cents) == pytest.approx((100 * measured(s, Offer())[0], measured(s, Offer())[1]))


@pytest.mark.parametrize("metric", [0, 1])
def test_intervals_cover_the_truth_of_three_risks_nine_times_in_ten(metric):
    true = np.array([0.05, 0.2, 0.5])
    whole = np.concatenate([np.repeat([1.0, 0.0], [round(1000 * rate), 1000 - round(1000 * rate)]) for rate in true])
    truth = measured(Sample.of(whole, np.repeat(true, 1000), np.arange(3000), np.ones(3000)), Offer())[metric]
    rng, covered = np.random.default_rng(1), 0
    for _ in range(300):
        group = rng.integers(0, 3, 400)
        y = (rng.random(400) < true[group]).astype(float)
        s = Sample.of(np.tile(y, 3), np.tile(true[group], 3), np.tile(np.arange(400), 3), np.ones(1200))
        ranking = Ranking.of(s)
        found = estimate(s, expected_profit(ranking, recalibrate(ranking), Offer())[metric])
        covered += found.lo <= truth <= found.hi
    assert covered / 300 == pytest.approx(0.9, abs=0.06)  # 3.5 Monte Carlo standard errors


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"incentive_cost": -1.0}, "none may be negative"),
        ({"contact_cost": float("nan")}, "none may be negative"),
        ({"customer_value": 10.0}, "worth more than what makes them stay"),
        ({"beta": 0.0}, "both must be above zero"),
    ],
)
def test_an_offer_that_makes_no_sense_is_refused(wrong, told):
    with pytest.raises(ValueError, match=told):
        Offer(**wrong)
