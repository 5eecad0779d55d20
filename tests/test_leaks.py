import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.measures import Feature
from models.leaks import kept_features, leak_warnings

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("JOURNEYLIFT_DATA") or ROOT.parent / "shared" / "data")
TELCO = DATA / "ibm_telco_ext" / "telco_ext_merged.parquet"


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
    assert leak.reason.startswith("'score' alone tells churners from stayers (AUC 1.00")
    assert "To use it nevertheless: journeylift train --allow score." in leak.reason
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


def company(seed: int = 0, customers: int = 3000, months: int = 10) -> pd.DataFrame:
    """Customers who stay or leave month by month; the outcome of the last month is not yet known."""
    rng = np.random.default_rng(seed)
    risk = rng.normal(0, 1, customers)
    left = rng.exponential(25 * np.exp(-0.5 * risk))
    rows = [
        pd.DataFrame({"number": np.flatnonzero(left > month), "month": month, "risk": risk[left > month]})
        for month in range(months)
    ]
    frame = pd.concat(rows, ignore_index=True)
    leaves = left[frame["number"]]
    is_open = frame["month"] == months - 1
    churned = (leaves <= frame["month"] + 1).astype(float)
    return frame.assign(
        customer_id=[f"c{i:05d}" for i in frame["number"]],
        cutoff=pd.to_datetime(frame["month"] * 30, unit="D", utc=True),
        leaves=np.where(leaves <= months - 1, leaves, np.nan),
        is_churned=churned.where(~is_open),
        noise=rng.normal(size=len(frame)),
        luck=rng.random(len(frame)),
    )


def test_a_field_filled_in_when_customers_leave_is_found_by_time():
    frame = company(customers=12_000)
    # Known for one in four who leave within the month, whatever the cutoff; nobody has left after the last one.
    told = (frame["is_churned"] == 1) & (frame["luck"] < 0.25)
    frame["stamp"] = np.where(told | (frame["luck"] > 0.9996), frame["noise"], np.nan)
    (leak,) = leak_warnings(frame, (feature("noise"), feature("stamp")))
    assert leak.auc < 0.9
    assert leak.feature == "stamp"
    assert "has lost the values of churners at the youngest cutoff" in leak.reason
    assert leak.reason.endswith("Declare it `known: after` in the study to keep it out everywhere.")


def test_what_is_reckoned_from_today_is_found_by_time():
    frame = company()
    # Days since the last contact as of today: who has left has been silent ever since.
    silent = 30 * (9 - frame["leaves"].fillna(9)) + 10 * np.exp(frame["noise"])
    since_now = frame.assign(silence=silent)
    assert names(since_now, feature("silence")) == ["silence"]
    since_cutoff = frame.assign(silence=10 * np.exp(frame["noise"] + 0.5 * frame["risk"]))
    assert names(since_cutoff, feature("silence")) == []


def test_a_feature_that_is_missing_at_the_youngest_cutoff_and_was_strong_before_is_found():
    frame = company()
    score = frame["is_churned"] * 1.2 + frame["noise"]
    (leak,) = leak_warnings(frame.assign(score=score), (feature("score"),))
    assert "says nothing at the youngest cutoff" in leak.reason
    weak = frame.assign(score=frame["noise"].where(frame["is_churned"].notna()))
    assert names(weak, feature("score")) == []


@pytest.mark.parametrize("seed", range(3))
def test_features_that_drift_are_not_suspected(seed):
    frame = company(seed)
    month, noise, risk = frame["month"], frame["noise"], frame["risk"]
    frame["drifting"] = risk + 0.3 * month + noise
    frame["sinking"] = risk - 0.5 * month + noise
    frame["jump"] = risk - 2.0 * (month == 9) + noise
    frame["season"] = np.exp(risk + noise) * (1 + np.sin(month))
    frame["growing_scale"] = (risk + noise) * (1 + month)
    frame["fixed"] = risk
    frame["rarely"] = np.where(frame["luck"] < 0.05 - 0.003 * month, risk, np.nan)
    frame["plan"] = np.where(frame["luck"] < 0.9 - 0.08 * month, "old", "new")
    frame["zip"] = [f"z{number % 400}" for number in frame["number"]]
    frame["id"] = frame["customer_id"]
    numbers = ("drifting", "sinking", "jump", "season", "growing_scale", "fixed", "rarely", "month")
    checked = [feature(name) for name in numbers] + [feature(name, "category") for name in ("plan", "zip", "id")]
    assert names(frame, *checked) == []


def test_without_a_youngest_cutoff_time_says_nothing():
    frame = company()
    frame["stamp"] = np.where((frame["is_churned"] == 1) & (frame["luck"] < 0.3), frame["noise"], np.nan)
    assert names(frame.loc[frame["is_churned"].notna()], feature("stamp")) == []


def test_a_name_with_a_space_is_quoted_in_the_advice():
    frame = panel()
    frame["churn score"] = frame["noise"]
    (leak,) = leak_warnings(frame, (feature("churn score"),))
    assert "journeylift train --allow 'churn score'." in leak.reason


@pytest.mark.skipif(
    not TELCO.exists(), reason=f"the IBM telco table is not at {TELCO}; JOURNEYLIFT_DATA names its folder"
)
def test_the_satisfaction_score_of_ibm_telco_is_caught_and_honest_columns_are_not():
    table = pd.read_parquet(TELCO)
    columns = [name for name in table if name not in {"Customer ID", "Churn Value"}]
    kinds = ["number" if pd.api.types.is_numeric_dtype(table[name]) else "category" for name in columns]
    features = tuple(feature(name, kind) for name, kind in zip(columns, kinds, strict=True))
    frame = table.assign(customer_id=table["Customer ID"], is_churned=table["Churn Value"].astype(float), cutoff=0)
    found = {leak.feature for leak in leak_warnings(frame, features)}
    after = {"Satisfaction Score", "Customer Status", "Churn Label", "Churn Score", "Churn Category", "Churn Reason"}
    assert found == after
