"""The same rows with and without some features: who learns from what, and who is compared with whom."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from features.errors import EmptyResultError
from features.measures import Feature
from models.added_terms import Rivals, in_order, rivals, too_few
from models.evaluation import Known, known_rows
from models.metrics import Sample, row_log_loss
from models.splits import CustomerFold

PLAIN = Feature("plain", "Plain.", "min", "lower", "touchpoint", "support", "wait", "experience")
ADDED = Feature("added", "Added.", "min", "lower", "journey", "support", "wait", "experience")
FOLDS = (
    CustomerFold("first", frozenset(f"c{i:03d}" for i in range(0, 400, 2))),
    CustomerFold("second", frozenset(f"c{i:03d}" for i in range(1, 400, 2))),
)


def known(seed: int = 0) -> Known:
    rng = np.random.default_rng(seed)
    plain, added = rng.normal(size=(2, 400))
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{i:03d}" for i in range(400)],
            "cutoff": 0,
            "plain": plain,
            "added": added,
            "is_churned": (rng.random(400) < expit(-1 + plain + 2 * added)).astype(float),
        }
    )
    return in_order(known_rows(frame, (PLAIN, ADDED), "is_churned"))


def run(rows: Known, **options: object) -> Rivals:
    arguments: dict[str, object] = {"every": (PLAIN, ADDED), "plan": FOLDS, "max_rows": 60_000}
    arguments |= {"families": ["logistic"], "added_families": ["logistic"]} | options
    return rivals(rows, (PLAIN,), rng=np.random.default_rng(0), **arguments)  # type: ignore[arg-type]


def test_every_setting_without_the_added_features_is_a_rival() -> None:
    found = run(known())
    assert list(found.without) == ["logistic (C = 0.03)", "logistic (C = 0.003)"]
    assert [one.split(":")[0] for one in found.chosen] == ["first", "second"]
    assert {len(risk) for risk in found.without.values()} == {len(found.joined)} == {400}


def test_only_the_joined_model_sees_the_added_features() -> None:
    rows = known()
    found = run(rows)
    tested = np.concatenate([fold.split(rows.keys()).test for fold in FOLDS])
    added = rows.frame["added"].to_numpy()[tested]
    assert np.corrcoef(found.joined.predicted, added)[0, 1] > 0.7
    for risk in found.without.values():
        assert abs(np.corrcoef(risk, added)[0, 1]) < 0.2


def test_no_tested_outcome_has_an_influence_on_any_prediction() -> None:
    rows = known()
    first = FOLDS[:1]
    tested = first[0].split(rows.keys()).test
    changed = rows.observed.copy()
    changed[tested] = changed[tested][::-1]  # as many churners: how many there are in all decides what is tried
    turned = Known(rows.frame, rows.position, changed, rows.weight, rows.features)
    one, other = (run(some, plan=first) for some in (rows, turned))
    np.testing.assert_array_equal(one.joined.predicted, other.joined.predicted)
    assert one.chosen == other.chosen


def test_the_best_rival_has_the_lowest_log_loss() -> None:
    observed = np.array([0.0, 1.0, 1.0, 0.0])
    good, bad = np.array([0.2, 0.8, 0.7, 0.3]), np.full(4, 0.5)
    sample = Sample.of(observed, bad, np.arange(4), np.ones(4))
    found = Rivals(sample, {"bad": bad, "good": good}, ())
    assert found.best == "good"
    np.testing.assert_array_equal(found.best_sample.predicted, good)
    np.testing.assert_allclose(found.loss("good"), row_log_loss(observed, good))
    np.testing.assert_allclose(found.loss(), np.log(2))


def test_under_a_cap_both_learn_from_the_same_rows() -> None:
    """With no difference between the views, risks of the same candidate are the same."""
    rows = known()
    kinds = {"families": ["boosting"], "added_families": ["boosting"]}
    found = run(rows, every=(PLAIN,), max_rows=150, **kinds)
    chosen = found.chosen[0].removeprefix("first: ")
    first = slice(0, 200)
    np.testing.assert_allclose(found.joined.predicted[first], found.without[chosen][first])


def test_rows_are_put_in_an_order_of_their_own() -> None:
    frame = known().frame.sample(frac=1, random_state=1)
    ordered = in_order(known_rows(frame, (PLAIN,), "is_churned")).keys()["customer_id"]
    assert ordered.is_monotonic_increasing


def test_too_few_churners_or_rows_are_told() -> None:
    rows = known()
    assert too_few(rows, FOLDS) == ""
    none = Known(rows.frame, rows.position, np.zeros(400), rows.weight, rows.features)
    assert too_few(none, FOLDS) == "0 churners and 400 stayers among the tested rows; at least 10 of each are needed"
    with pytest.raises(EmptyResultError, match="There are no training rows of a fold"):
        too_few(rows, (CustomerFold("all", frozenset(rows.frame["customer_id"])),))
