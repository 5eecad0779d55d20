"""What is to be expected of a contact is learnt from other customers, and no more of it than the data tell."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from models.adjustment import Exposure
from models.references import fit_references
from tests.test_initiatives import STUDY

SOLVED = [Exposure("support", "resolved")]


def contacts(solved, customer):
    n = len(solved)
    return pa.table(
        {
            "customer_key": customer, "journey": ["support"] * n, "channel": ["phone", "chat"] * (n // 2),
            "occurred_at": np.arange(n) * 10**11, "attempt": [1] * n, "resolved": np.asarray(solved, float),
        }
    )  # fmt: skip


def people(n, rng):
    return pa.table({"customer_key": np.arange(n), "age": rng.normal(50, 10, n), "fee": rng.gamma(2, 10, n)})


def test_where_nothing_can_be_known_nothing_is_expected_beyond_the_mean():
    rng = np.random.default_rng(1)
    customer = np.arange(2_000)
    touches, customers = contacts(rng.random(2_000), customer), people(2_000, rng)
    (reference,) = fit_references(STUDY, SOLVED, touches, customers)
    (deviation,), usual = reference.split(touches, customers)
    # Forty trees on all contacts would follow their luck: a standard deviation of 0.13, and 30 % of the noise.
    assert usual.std() < 0.06
    assert np.corrcoef(deviation, touches["resolved"].to_numpy())[0, 1] > 0.97


def test_what_can_be_known_is_expected():
    rng = np.random.default_rng(2)
    customers = people(4_000, rng)
    truth = 0.3 + 0.4 * (customers["age"].to_numpy() > 50)
    touches = contacts(rng.random(4_000) < truth, np.arange(4_000))
    (reference,) = fit_references(STUDY, SOLVED, touches, customers)
    (deviation,), usual = reference.split(touches, customers)
    assert np.corrcoef(usual, truth)[0, 1] > 0.9
    for side in (truth > 0.5, truth < 0.5):
        assert abs(deviation[side].mean()) < 0.03


@pytest.mark.parametrize("flipped", [3, 1_200])
def test_what_is_expected_of_customers_does_not_know_how_they_fared(flipped):
    rng = np.random.default_rng(3)
    customers = people(3_000, rng)
    # So much to learn that all trees are taken, whatever one customer does.
    signal = np.sin(customers["age"].to_numpy()) * np.cos(customers["fee"].to_numpy())
    solved = np.clip(0.5 + 0.5 * signal, 0.001, 0.999)
    other = solved.copy()
    other[flipped] = 1 - other[flipped]
    expected = []
    for values in (solved, other):
        touches = contacts(values, np.arange(3_000))
        (reference,) = fit_references(STUDY, SOLVED, touches, customers)
        expected.append(reference.split(touches, customers)[1])
    assert expected[0][flipped] == pytest.approx(expected[1][flipped], abs=1e-4)
    assert np.abs(expected[0] - expected[1]).max() > 1e-6


def test_contacts_of_one_customer_only_are_enough():
    touches = contacts([0.0, 1.0] * 30, np.zeros(60, np.int64))
    customers = people(1, np.random.default_rng(4))
    (reference,) = fit_references(STUDY, SOLVED, touches, customers)
    # One tree: forty would know each contact.
    assert reference.split(touches, customers)[1] == pytest.approx(0.5, abs=0.15)


def test_a_covariate_that_hardly_anyone_has_is_no_obstacle():
    rng = np.random.default_rng(5)
    fee = np.full(400, np.nan)
    fee[7] = 10.0
    customers = people(400, rng).set_column(2, "fee", pa.array(fee))
    touches = contacts(rng.random(400), np.arange(400))
    (reference,) = fit_references(STUDY, SOLVED, touches, customers)
    assert np.isfinite(reference.split(touches, customers)[1]).all()
