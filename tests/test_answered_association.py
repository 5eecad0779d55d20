"""Shares where ratings were not answered, against the shares of the same people had they answered."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from models import answered_association
from models.answered_association import association_with_answers
from models.importance import Driver, association
from models.ranked_drivers import Association

NAMES = ("staff", "queue", "price", "signs")
DRIVERS = tuple(Driver(name, "visit", (name,)) for name in NAMES)


def survey(seed: int, n: int = 1_500) -> pd.DataFrame:
    """Four ratings with one halo; everybody answered."""
    rng = np.random.default_rng(seed)
    ratings = 0.8 * rng.normal(size=(n, 1)) + rng.normal(size=(n, 4)) + 6.0
    overall = ratings @ np.array([0.6, 0.3, 0.2, 0.0]) + rng.normal(size=n)
    return pd.DataFrame(dict(zip(NAMES, ratings.T, strict=True))).assign(
        overall=overall, customer_id=[f"c{k}" for k in range(n)], weight=1.0
    )


def silenced(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The content answer less about staff and queue: at random, given the overall rating and that of the signs."""
    content = (frame["overall"] - 6.6) / 1.2 + (frame["signs"] - 6.0)
    is_silent = np.random.default_rng(seed).random((len(frame), 2)) < 1 / (1 + np.exp(-content.to_numpy()))[:, None]
    return frame.assign(**{name: frame[name].mask(is_silent[:, k]) for k, name in enumerate(NAMES[:2])})


def run(frame: pd.DataFrame, **options: object) -> Association:
    cells = frame[list(NAMES)].isna().to_numpy()
    arguments: dict[str, object] = {"weight": "weight", "replicates": 60} | options
    return association_with_answers(frame, DRIVERS, cells, "overall", rng=np.random.default_rng(1), **arguments)  # type: ignore[arg-type]


def shares(found: Association) -> np.ndarray:
    return found.to_frame().set_index("driver").loc[list(NAMES), "share"].to_numpy()


def filled(frame: pd.DataFrame, **options: object) -> Association:
    arguments: dict[str, object] = {"weight": "weight", "replicates": 60} | options
    return association(frame, DRIVERS, "overall", rng=np.random.default_rng(1), **arguments)  # type: ignore[arg-type]


def test_shares_are_nearer_the_truth_than_with_means_filled_in() -> None:
    errors = np.zeros(2)
    for seed in range(4):
        whole = survey(seed)
        truth, frame = shares(filled(whole)), silenced(whole, seed + 100)
        assert frame["staff"].isna().mean() > 0.4
        errors += [np.abs(shares(found) - truth).max() / 4 for found in (run(frame), filled(frame))]
    assert errors[0] < 0.05
    assert errors[1] > 2 * errors[0]


def test_with_all_answers_given_it_is_the_usual_association() -> None:
    frame = survey(5)
    ours, usual = run(frame, controls=["weight"]), filled(frame, controls=["weight"])
    np.testing.assert_allclose(shares(ours), shares(usual), atol=1e-7)
    np.testing.assert_allclose(ours.to_frame()["share_lo"], usual.to_frame()["share_lo"], atol=0.03)
    assert not any(share.warning for share in ours.shares)
    assert ours.r2 == pytest.approx(usual.r2, abs=1e-7)


def test_what_does_not_apply_keeps_its_flag_and_is_no_answer() -> None:
    frame = survey(6)
    frame.loc[:499, "queue"] = np.nan
    cells = np.zeros((len(frame), 4), dtype=bool)
    found = association_with_answers(
        frame, DRIVERS, cells, "overall", weight=None, rng=np.random.default_rng(1), replicates=60
    )
    flagged = [replaced for replaced in DRIVERS if replaced.name != "queue"]
    flagged.insert(1, Driver("queue", "visit", ("queue", "is_missing:queue")))
    usual = association(frame, flagged, "overall", weight=None, rng=np.random.default_rng(1), replicates=60)
    np.testing.assert_allclose(shares(found), shares(usual), atol=1e-6)
    assert {share.driver.name: len(share.driver.columns) for share in found.shares} == {
        "staff": 1, "queue": 2, "price": 1, "signs": 1
    }  # fmt: skip


def test_a_driver_that_adds_nothing_is_told_from_those_that_do() -> None:
    table = run(silenced(survey(7), 7)).to_frame().set_index("driver")
    assert table.loc["signs", "p_value"] > 0.05
    assert table.loc["staff", "p_adjusted"] < 0.001
    assert (table["p_adjusted"] >= table["p_value"]).all()
    assert "% did not answer, estimated from all other columns" in table.loc["staff", "warning"]
    assert table.loc["price", "warning"] == ""


def test_too_much_work_holds_the_model_fixed_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = silenced(survey(8), 8)
    anew = run(frame).to_frame().set_index("driver")
    monkeypatch.setattr(answered_association, "_WORK", 1.0)
    fixed = run(frame).to_frame().set_index("driver")
    assert "interval and test hold that estimate fixed: too narrow" in fixed.loc["staff", "warning"]
    assert "too narrow" not in anew.loc["staff", "warning"]
    assert (fixed["p_value"] <= 1).all()
    np.testing.assert_allclose(fixed["share"], anew.loc[fixed.index, "share"])
    width = [table.loc["staff", "share_hi"] - table.loc["staff", "share_lo"] for table in (anew, fixed)]
    assert width[0] > 1.1 * width[1]


def test_draws_of_some_of_the_customers_are_scaled_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = silenced(survey(12, 2_000), 12)
    anew = run(frame, replicates=80).to_frame().set_index("driver")
    monkeypatch.setattr(answered_association, "_FEWEST_ROWS", 700)
    fits: list[int] = []
    whole = answered_association._Fitted.part
    monkeypatch.setattr(answered_association._Fitted, "work", lambda _, rows: float(rows))
    monkeypatch.setattr(answered_association._Fitted, "part", lambda own, rows: fits.append(rows) or whole(own, rows))
    # enough for 50 draws of 1,000 rows, not of 2,000
    monkeypatch.setattr(answered_association, "_WORK", 50 * 1_200.0)
    some = run(frame, replicates=80).to_frame().set_index("driver").loc[anew.index]
    assert fits == [1_000]
    assert not some["warning"].str.contains("too narrow").any()
    np.testing.assert_allclose(some["share"], anew["share"])
    width, scaled = anew["share_hi"] - anew["share_lo"], some["share_hi"] - some["share_lo"]
    assert (scaled[:3] != width[:3]).all()
    # 50 draws know a width to 12 %, and 80 to 10 %
    np.testing.assert_allclose(scaled[:3] / width[:3], 1, atol=0.4)


def test_of_many_rows_whole_customers_are_used_whatever_their_order() -> None:
    frame = silenced(survey(9), 9)
    frame["customer_id"] = [f"c{k // 3}" for k in range(len(frame))]
    found = run(frame, max_rows=1_000)
    shuffled = run(frame.sample(frac=1, random_state=1), max_rows=1_000)
    assert (found.n_rows, found.n_customers) == (999, 333)
    np.testing.assert_allclose(shares(found), shares(shuffled), atol=1e-6)
    assert found.shares[0].share != run(frame).shares[0].share


def test_a_customer_with_more_rows_than_are_used_does_not_keep_the_others_out() -> None:
    frame = silenced(survey(9), 9)
    frame["customer_id"] = [f"c{max(k - 400, 0)}" for k in range(len(frame))]
    found = run(frame, max_rows=300)
    assert (found.n_rows, found.n_customers, found.refusal) == (300, 300, "")


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("overall", 1e300, "holds numbers whose squares"),
        ("staff", 1e300, "holds numbers whose squares"),
        ("weight", np.inf, "holds an infinite weight"),
        ("overall", "good", "Numbers were expected"),
    ],
)
def test_what_cannot_be_computed_with_is_refused_by_the_name_of_its_column(
    column: str, value: object, told: str
) -> None:
    frame = silenced(survey(9), 9)
    frame[column] = frame[column].astype(object if isinstance(value, str) else float)
    frame.loc[3, column] = value
    with pytest.raises(ValueError, match=rf"'{column}' .*{told}"):
        run(frame)


def test_chance_few_customers_and_an_outcome_that_does_not_vary_are_refused() -> None:
    frame = silenced(survey(10, 400), 10)
    noise = frame.assign(overall=np.random.default_rng(0).permutation(frame["overall"]))
    assert "chance" in run(noise).refusal
    assert "199 customers" in run(frame.head(199)).refusal
    assert "does not vary" in run(frame.assign(overall=1.0)).refusal


def test_a_driver_without_any_answer_explains_nothing() -> None:
    table = run(silenced(survey(11), 11).assign(price=np.nan)).to_frame().set_index("driver")
    assert table.loc["price", "share"] == pytest.approx(0, abs=1e-12)
    assert "does not vary" in table.loc["price", "warning"]
