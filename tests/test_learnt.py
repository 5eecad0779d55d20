"""What is learnt before rows are laid out: of measures that vary, from no more touchpoints than it takes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from models import learnt as module
from models.adjustment import Exposure
from models.learnt import learn
from models.people import People
from tests.test_initiatives import STUDY

WAIT, DONE = Exposure("support", "wait"), Exposure("support", "resolved")


def bucket(first=0, n=50, seed=1):
    """Customers with two contacts each; nothing was ever resolved."""
    rng = np.random.default_rng(seed)
    keys = np.arange(first, first + n)
    touches = pa.table(
        {
            "customer_key": np.repeat(keys, 2), "journey": ["support"] * 2 * n, "touchpoint": ["call"] * 2 * n,
            "journey_key": np.arange(2 * n), "channel": ["phone"] * 2 * n,
            "occurred_at": np.tile([10**12, 10**13], n), "wait": rng.uniform(0, 100, 2 * n),
            "resolved": np.zeros(2 * n),
        }
    )  # fmt: skip
    customers = pa.table({"customer_key": keys, "segment": rng.choice(["basic", "premium"], n)})
    revenue = pa.table({"customer_key": keys, "occurred_at": np.full(n, 10**12), "amount": np.full(n, 7.0)})
    return People(touches, customers, revenue, pa.table({"customer_key": np.zeros(0, np.int64)}))


def test_nothing_is_learnt_of_a_measure_that_never_varies():
    found = learn(STUDY, lambda: [bucket()], [WAIT, DONE], 0)
    assert [one.exposure for one in found.references] == [WAIT]
    assert set(found.support) == set(found.ties) == {WAIT}
    assert found.charging.typical == 7.0


def test_buckets_are_read_until_there_is_enough_and_the_range_leaves_out_a_hundredth_on_either_side(monkeypatch):
    monkeypatch.setattr(module, "MOST_TOUCHPOINTS", 200)
    read = []

    def buckets():
        for number in range(4):
            read.append(number)
            yield bucket(1_000 * number, seed=number)

    found = learn(STUDY, buckets, [WAIT], 0)
    assert read == [0, 1]
    waits = np.concatenate([bucket(seed=seed).touchpoints["wait"].to_numpy() for seed in read])
    assert found.support[WAIT] == pytest.approx(np.quantile(waits, (0.01, 0.99)))


def test_what_names_customers_gets_no_columns():
    people = bucket()
    names = pa.array([f"Ada {i}" for i in range(people.customers.num_rows)])
    named = replace(people, customers=people.customers.append_column("name", names))
    with_names, without = (learn(STUDY, lambda one=one: [one], [WAIT], 0) for one in (named, people))
    assert with_names.levels == without.levels | {"name": frozenset()}
    columns = with_names.ties[WAIT].slopes.index
    assert [c for c in columns if c.startswith("baseline__name")] == ["baseline__name_(other)"]
