from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.measures import Feature
from models.leaks import kept_features, leak_warnings

TELCO = Path(__file__).parents[2] / "shared" / "data" / "ibm_telco_ext" / "telco_ext_merged.parquet"


def feature(name: str, kind: str = "number", role: str = "covariate", journey: str | None = None) -> Feature:
    return Feature(name, name, "", "none", "customer", journey, None, role, kind)


def panel(n: int = 3000, cutoffs: int = 1, **columns: object) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "customer_id": [f"c{i // cutoffs}" for i in range(n)],
            "cutoff": pd.to_datetime(np.arange(n) % cutoffs, unit="D", utc=True),
            "is_churned": (rng.random(n) < 0.1).astype(float),
            "noise": rng.normal(size=n),
        }
    )
    return frame.assign(**columns)


def names(frame: pd.DataFrame, *features: Feature) -> list[str]:
    return [leak.feature for leak in leak_warnings(frame, features)]


def test_a_feature_that_copies_the_outcome_is_named_with_the_reason():
    frame = panel()
    frame["score"] = -frame["is_churned"] + 0.01 * frame["noise"]
    (leak,) = leak_warnings(frame, (feature("noise"), feature("score")))
    assert leak.feature == "score"
    assert leak.auc > 0.99
    assert "known: after" in leak.reason


def test_being_missing_only_for_stayers_is_a_leak():
    frame = panel()
    frame["why"] = np.where(frame["is_churned"] == 1, frame["noise"], np.nan)
    assert names(frame, feature("why")) == ["why"]


def test_a_category_known_only_for_churners_is_a_leak():
    frame = panel()
    frame["group"] = np.where(frame["is_churned"] == 1, "moved away", None)
    assert names(frame, feature("group", "category")) == ["group"]


def test_an_identifier_is_not_a_leak_although_it_splits_the_sample_perfectly():
    frame = panel()
    assert names(frame.assign(code=frame["customer_id"]), feature("code", "category")) == []


def test_a_relation_that_turns_is_found_as_well():
    frame = panel()
    frame["age"] = np.where(frame["is_churned"] == 1, np.sign(frame["noise"]) * 5, frame["noise"] * 0.5)
    assert names(frame, feature("age")) == ["age"]


def test_the_outcomes_name_is_suspect_by_itself():
    frame = panel()
    frame["churn_score"] = frame["noise"]
    assert names(frame, feature("churn_score")) == ["churn_score"]


def test_a_status_is_suspect_only_when_it_goes_along_with_the_outcome():
    frame = panel()
    rng = np.random.default_rng(1)
    frame["marital_status"] = rng.choice(["single", "married"], len(frame))
    hit = np.where(frame["is_churned"] == 1, rng.random(len(frame)) < 0.6, rng.random(len(frame)) < 0.1)
    frame["account_status"] = np.where(hit, "ending", "fine")
    suspects = (feature("marital_status", "category"), feature("account_status", "category"))
    assert names(frame, *suspects) == ["account_status"]


def test_a_journeys_name_is_not_suspect():
    frame = panel()
    frame["cancellation__wait_min__mean"] = frame["noise"] + 1.2 * frame["is_churned"]
    assert names(frame, feature("cancellation__wait_min__mean", journey="cancellation")) == []


def test_recency_may_be_this_good_in_a_panel_of_dated_events_and_not_in_a_flat_table():
    for cutoffs, found in ((3, []), (1, ["since"])):
        frame = panel(cutoffs=cutoffs)
        frame["since"] = frame["is_churned"] * 10 + frame["noise"]
        assert names(frame, feature("since", role="recency")) == found


def test_too_few_churners_prove_nothing():
    frame = panel(60)
    frame["is_churned"] = (np.arange(60) < 5).astype(float)
    assert names(frame.assign(copy=frame["is_churned"]), feature("copy")) == []


def test_the_verdict_does_not_depend_on_row_order_and_ignores_immature_rows():
    frame = panel(5000)
    frame["score"] = frame["is_churned"] * 2 + frame["noise"]
    immature = frame.assign(is_churned=np.nan)
    mixed = pd.concat([frame, immature]).sample(frac=1, random_state=1)
    (first,), (second,) = leak_warnings(mixed, (feature("score"),)), leak_warnings(frame, (feature("score"),))
    assert (first.reason, first.auc) == (second.reason, pytest.approx(second.auc))


def test_large_panels_are_thinned_by_customer_and_still_caught():
    frame = panel(9000, cutoffs=3)
    frame["score"] = frame["is_churned"]
    assert [leak.feature for leak in leak_warnings(frame, (feature("score"),), max_rows=2000)] == ["score"]


def test_a_column_that_copies_carry_from_one_half_to_the_other_is_not_a_leak():
    rng = np.random.default_rng(4)
    once = panel(300).assign(code=[f"v{i % 150}" for i in range(300)])
    copied = pd.concat([once] * 6, ignore_index=True)
    copied = copied.assign(customer_id=[f"c{i:04d}" for i in rng.permutation(len(copied))])
    code = feature("code", "category")
    groups = copied.assign(replica_group=[f"g{i % 300:03d}" for i in range(len(copied))])
    assert names(copied.assign(code=groups["replica_group"]), code) == ["code"]
    assert names(groups.assign(code=groups["replica_group"]), code) == []


def test_an_allowed_leak_is_kept():
    frame = panel()
    frame["score"] = frame["is_churned"]
    features = (feature("noise"), feature("score"))
    leaks = leak_warnings(frame, features)
    assert kept_features(features, leaks) == features[:1]
    assert kept_features(features, leaks, frozenset({"score"})) == features


@pytest.mark.skipif(not TELCO.exists(), reason="the IBM telco table is not beside the repository")
def test_the_satisfaction_score_of_ibm_telco_is_caught_and_honest_columns_are_not():
    table = pd.read_parquet(TELCO)
    columns = [name for name in table if name not in {"Customer ID", "Churn Value"}]
    kinds = ["number" if pd.api.types.is_numeric_dtype(table[name]) else "category" for name in columns]
    features = tuple(feature(name, kind) for name, kind in zip(columns, kinds, strict=True))
    frame = table.assign(customer_id=table["Customer ID"], is_churned=table["Churn Value"].astype(float), cutoff=0)
    found = {leak.feature for leak in leak_warnings(frame, features)}
    after = {"Satisfaction Score", "Customer Status", "Churn Label", "Churn Score", "Churn Category", "Churn Reason"}
    assert found == after
