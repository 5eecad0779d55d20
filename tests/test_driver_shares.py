"""What stands beside the ranking: whole journeys, reach, and where the logistic shares disagree."""

import numpy as np
import pandas as pd
import pytest

from features.raw_moments import moments_of_frame
from flows.driver_shares import journey_shares, mcfadden_notes, mcfadden_shares, reaches
from models.churn_shares import ChurnShares
from tests.test_churn_shares import customers, drivers


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rows = customers().rename(columns={"left": "is_churned", "w": "weight"})
    return rows.assign(revenue=lambda one: 3 - one["c"] + np.arange(len(one)) % 3, replica_group=rows["customer_id"])


def test_whole_journeys_have_shares_intervals_and_reach(frame: pd.DataFrame) -> None:
    raw = moments_of_frame(frame, list("abc"), ["is_churned", "revenue"], customer="replica_group", weight="weight")
    found = journey_shares(raw, drivers(*"abc"), ["is_churned", "revenue"], 0)
    assert found.groupby("outcome")["share"].sum().to_dict() == pytest.approx({"churn": 1.0, "revenue": 1.0})
    assert (found["share_lo"] <= found["share"]).all()
    told = reaches(frame, drivers(*"abc"), ["is_churned"])
    assert told["level"].value_counts().to_dict() == {"driver": 3, "journey": 2}
    assert journey_shares(raw, drivers(*"abc"), [], 0).empty
    assert reaches(frame, drivers(*"abc"), []).empty


def test_amounts_have_no_logistic_shares(frame: pd.DataFrame) -> None:
    found = mcfadden_shares(frame, drivers(*"abc"), ["is_churned", "revenue"], 0, None)
    assert [one.outcome for one in found] == ["churn"]


def shared(mcfadden: list[float], error: float = 0.0, n_rows: int = 900, **more: object) -> ChurnShares:
    values = {"outcome": "churn", "drivers": tuple(drivers(*"abc")), "mcfadden": np.array(mcfadden), "r2": 0.06}
    values |= {"error": np.full(3, error), "linear": np.array([0.5, 0.2, 0.3]), "rank_correlation": 1 / 3}
    values |= {"n_customers": 450, "n_rows": n_rows, "n_events": 70, "n_all": 900, "refits": 9, "notes": ()}
    return ChurnShares(**(values | more))  # type: ignore[arg-type]


LINEAR_SHARES = pd.DataFrame(
    {"feature": list("abc"), "share": [0.5, 0.2, 0.3], "share_lo": [0.4, 0.1, 0.2], "share_hi": [0.6, 0.3, 0.4]}
)


def test_what_the_logistic_shares_rest_on_is_said() -> None:
    (told,) = mcfadden_notes(shared([0.5, 0.2, 0.3]), LINEAR_SHARES)
    assert told.replace("\u00a0", " ") == (
        "McFadden's R² of a logistic fit is 6.0 % (all 900 rows, 450 customers, 70 of them with churn, every "
        "order of the drivers). Kendall's tau of the logistic and the linear ranking is 0.33. "
        "No share differs by more than its interval."
    )
    (told,) = mcfadden_notes(shared([0.5, 0.2, 0.3], 0.004, 500), LINEAR_SHARES)
    plain = told.replace("\u00a0", " ")
    assert "(500 of 900 rows, 450 customers, 70 of them with churn, standard error of a share at most 0.40" in plain
    assert "Shares are linear shares of all rows plus what both kinds of share differ by in these rows." in plain


def test_drivers_that_differ_by_more_than_their_interval_are_named_the_largest_difference_first() -> None:
    (told,) = mcfadden_notes(shared([0.25, 0.45, 0.3]), LINEAR_SHARES)
    (found,) = (part for part in told.replace("\u00a0", " ").split(". ") if part.startswith("By more"))
    assert found == (
        "By more than its interval the share differs for support · a (linear 50 %, logistic 25 %); "
        "support · b (linear 20 %, logistic 45 %)."
    )
    (told,) = mcfadden_notes(shared([0.39, 0.2, 0.41]), LINEAR_SHARES)
    assert "support · a" in told
    (told,) = mcfadden_notes(shared([0.39, 0.2, 0.41], error=0.01), LINEAR_SHARES)  # within the sampling of orders
    assert "No share differs" in told


def test_what_was_left_out_is_said_even_where_nothing_is_left() -> None:
    notes = ("'support: a' tells churn for certain in some rows, so a logistic fit has no solution: left out of it.",)
    told = mcfadden_notes(shared([np.nan, 0.4, 0.6], linear=np.array([np.nan, 0.4, 0.6]), notes=notes), LINEAR_SHARES)
    assert told[1:] == notes
    assert "No share differs" in told[0]  # 0.2 to 0.4 is what leaving out a driver of 0.5 does
    assert mcfadden_notes(shared([np.nan] * 3, r2=np.nan, notes=notes), LINEAR_SHARES) == notes
