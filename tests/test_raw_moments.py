"""Sums of products by group of customers, from frames and from the engine, against plain loops."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import numpy as np
import pandas as pd
import pytest

from features import raw_moments
from features.panel_moments import relation_moments
from features.raw_moments import RawMoments, moments_of_frame

COLUMNS = ("wait", "score", "segment")
OUTCOMES = ("is_churned", "revenue")


def rows(seed: int = 0, customers: int = 60, each: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    n = customers * each
    wait = rng.gamma(2, 5, n) + 1_000
    score = np.where(rng.random(n) < 0.3, np.nan, rng.integers(1, 6, n))
    return pd.DataFrame(
        {
            "customer_id": [f"kunde-{k}" for k in np.repeat(np.arange(customers), each)],
            "wait": wait,
            "score": score,
            "segment": np.array(["plus", None, "basic"], dtype=object)[rng.integers(0, 3, n)],
            "weight": np.where(rng.random(n) < 0.1, 0.0, rng.uniform(0.5, 2, n)),
            "is_churned": np.where(rng.random(n) < 0.1, np.nan, rng.random(n) < 0.3),
            "revenue": np.where(rng.random(n) < 0.2, np.nan, rng.gamma(2, 50, n)),
        }
    )


def of_engine(frame: pd.DataFrame, groups: int = 1024) -> RawMoments:
    with duckdb.connect() as con:
        con.register("frame", frame)
        return relation_moments(con, '"frame"', COLUMNS, OUTCOMES, weight="weight", groups=groups)


def of_frame(frame: pd.DataFrame, groups: int = 1024) -> RawMoments:
    return moments_of_frame(frame, COLUMNS, OUTCOMES, weight="weight", groups=groups)


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_sums_are_those_of_a_plain_loop(outcome: str) -> None:
    frame = rows()
    found = of_frame(frame)
    look = found.look
    assert list(look.places) == ["wait", "score", ("score", ""), ("segment", "basic"), ("segment", "plus"),
                                 ("", "is_churned"), ("", "revenue")]  # fmt: skip
    used = frame[(frame["weight"] > 0) & frame[outcome].notna()]
    names = sorted(set(frame.loc[(frame["weight"] > 0) & frame[list(OUTCOMES)].notna().any(axis=1), "customer_id"]))
    expected = np.zeros((len(names), 8, 8))
    for row in used.to_dict("records"):
        score = row["score"]
        z = [1, row["wait"] - look.origins["wait"]]
        z += [0, 1] if np.isnan(score) else [score - look.origins["score"], 0]
        z += [row["segment"] == "basic", row["segment"] == "plus"]
        z += [0 if np.isnan(row[name]) else row[name] - look.outcomes[name] for name in OUTCOMES]
        expected[names.index(row["customer_id"])] += row["weight"] * np.outer(z, z)
    own = found.of(outcome)
    np.testing.assert_allclose(own.sums, expected[expected[:, 0, 0] > 0], atol=1e-9)
    assert (own.n_rows, own.n_customers) == (len(used), used["customer_id"].nunique())


@pytest.mark.parametrize("groups", [16, 1024])
def test_the_engine_and_a_frame_give_the_same_sums_whatever_the_order_of_rows(
    groups: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = rows()
    first = of_frame(frame, groups)
    monkeypatch.setattr(raw_moments, "BATCH", 37)
    monkeypatch.setattr("features.panel_moments.BATCH", 37)
    for other in (of_frame(frame.sample(frac=1, random_state=2), groups), of_engine(frame, groups),
                  of_engine(frame.sample(frac=1, random_state=3), groups)):  # fmt: skip
        assert other.look.levels == first.look.levels
        assert other.look.flagged == first.look.flagged
        assert other.look.n_customers == first.look.n_customers
        for outcome in OUTCOMES:
            ours, theirs = first.of(outcome), other.of(outcome)
            assert ours.n_rows == theirs.n_rows
            np.testing.assert_allclose(theirs.sums, ours.sums, rtol=1e-9, atol=1e-7)


def test_categories_and_integers_are_read_like_texts_and_numbers() -> None:
    frame = rows().assign(wait=lambda one: one["wait"].round().astype(np.int64))
    other = frame.assign(segment=pd.Categorical(frame["segment"], categories=["unseen", "plus", "basic"]))
    np.testing.assert_array_equal(of_frame(other).of("revenue").sums, of_frame(frame).of("revenue").sums)
    np.testing.assert_allclose(
        of_engine(other).of("revenue").sums, of_frame(frame).of("revenue").sums, rtol=1e-9, atol=1e-7
    )


def test_what_is_not_finite_is_missing() -> None:
    frame = rows()
    infinite = frame.assign(score=frame["score"].fillna(np.inf))
    for found in (of_frame(infinite), of_engine(infinite)):
        np.testing.assert_allclose(found.of("revenue").sums, of_frame(frame).of("revenue").sums, atol=1e-7)


def test_no_rows_have_no_groups() -> None:
    for found in (of_frame(rows().head(0)), of_engine(rows().assign(weight=0.0))):
        assert found.of("revenue").sums.shape[0] == 0
        assert found.of("revenue").n_customers == 0


def test_an_outcome_that_was_not_summed_is_named() -> None:
    with pytest.raises(ValueError, match=r"'margin' was not summed. Expected one of is_churned, revenue"):
        of_frame(rows()).of("margin")


@pytest.mark.parametrize("column", ["wait", "score", "revenue"])
@pytest.mark.parametrize("sums", [of_frame, of_engine])
def test_one_value_too_large_to_be_squared_is_refused_by_the_name_of_its_column(
    sums: Callable[[pd.DataFrame], RawMoments], column: str
) -> None:
    frame = rows()
    frame.loc[frame.index[frame["weight"] > 0][3], column] = 1e300
    with pytest.raises(ValueError, match=rf"'{column}' holds numbers whose squares sum to more than 1e\+250"):
        sums(frame)


def test_large_values_that_can_be_squared_are_summed() -> None:
    frame = rows()
    frame.loc[3, "wait"] = 1e100
    assert np.isfinite(of_frame(frame).of("revenue").sums).all()


@pytest.mark.parametrize("sums", [of_frame, of_engine])
def test_an_infinite_weight_is_refused_by_the_name_of_its_column(sums: Callable[[pd.DataFrame], RawMoments]) -> None:
    frame = rows()
    frame.loc[3, "weight"] = np.inf
    with pytest.raises(ValueError, match=r"'weight' holds an infinite weight"):
        sums(frame)
