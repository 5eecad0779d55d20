"""How quality goes along with covariates before references take it out, counted by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from models.adjustment import Exposure
from models.contact_kinds import ContactKind
from models.quality_ties import Tie, benchmarks_of, covariate_columns, learn_tie
from models.references import Reference, Setting

WAIT = Exposure("support", "wait")
ONE_PIECE = Reference(WAIT, (0.0, 100.0), Setting({}), ())
CUSTOMERS = pa.table(
    {
        "customer_key": pa.array([1, 2, 3, 4], pa.int64()),
        "segment": pa.array(["basic", "basic", "plus", "plus"]),
        "fee": pa.array([10.0, 20.0, 10.0, 20.0]),
    }
)


def touchpoints() -> pa.Table:
    # Wait is 5, and 3 more for plus, and a tenth of a minute for each unit of the fee; customer 1 comes twice.
    return pa.table(
        {
            "customer_key": pa.array([1, 1, 2, 3, 4, 4], pa.int64()),
            "journey": pa.array(["support"] * 5 + ["billing"]),
            "journey_key": pa.array([1, 1, 2, 3, 4, 5], pa.int64()),
            "wait": pa.array([6.0, 6.0, 7.0, 9.0, 10.0, 50.0]),
        }
    )


def test_the_tie_is_the_slope_on_each_covariate_with_the_others_held_fixed():
    tie = learn_tie(ONE_PIECE, touchpoints(), CUSTOMERS, {"segment": frozenset({"basic", "plus"})})
    slopes = tie.slopes[0]
    assert slopes["baseline__fee"] == pytest.approx(0.1)
    assert slopes["baseline__segment_plus"] - slopes["baseline__segment_basic"] == pytest.approx(3.0)
    assert tie.per_journey == pytest.approx(5 / 4)


def test_the_tie_of_a_memory_is_that_of_a_contact_times_the_mean_number_remembered():
    tie = Tie(
        pd.DataFrame([1.0, 4.0, 0.1], index=["baseline__segment_basic", "baseline__segment_plus", "baseline__fee"]),
        per_journey=2.0,
    )
    names = [
        "baseline__fee", "baseline__segment_plus", "baseline__intercept", "time__spent_before",
        "support__wait__0__fast", "support__wait__0__slow", "support__wait__0__now",
    ]  # fmt: skip
    design = pd.DataFrame(
        {
            "support / call / began__fast": [0.1, 0.3], "support / call / began__slow": [0.6, 2.0],
            "support / chat / began__fast": [0.1, 0.1], "support / chat / began__slow": [0.4, 1.0],
        }
    )  # fmt: skip
    kinds = [ContactKind("support", name, later) for name in ("call", "chat") for later in (False, True)]
    found = benchmarks_of(names, ("segment", "fee"), [ONE_PIECE], {WAIT: tie}, design, np.array([1.0, 3.0]), 7.0, kinds)
    segment, fee, past = found
    assert [one.name for one in found] == ["segment", "fee", ""]
    assert (segment.columns.tolist(), fee.columns.tolist(), past.columns.tolist()) == ([1], [0], [3])
    # Plus against basic: 3 minutes; weighted means of journeys 0.35 and 2.5, two touchpoints each.
    now = 3 * 0.35 * 2 * 7 * np.log(2) / 14
    assert segment.ties[0] == pytest.approx([0, 0, 0, 0, 3 * 0.35 * 2, 3 * 2.5 * 2, now])
    assert fee.ties[0, 5] == pytest.approx(0.1 * 2.5 * 2)
    assert not past.ties.any()


def test_a_column_belongs_to_the_covariate_with_the_longest_name_that_fits():
    names = ["baseline__age", "baseline__age missing", "baseline__age_band_old", "time__trend", "baseline__intercept"]
    assert covariate_columns(names, ("age", "age_band", "region")) == {
        "age": ["baseline__age", "baseline__age missing"],
        "age_band": ["baseline__age_band_old"],
    }


def test_without_covariates_there_is_nothing_to_tie():
    touchpoints = pa.table(
        {"customer_key": [0, 1], "journey": ["support"] * 2, "journey_key": [0, 1], "wait": [3.0, 5.0]}
    )
    tie = learn_tie(ONE_PIECE, touchpoints, pa.table({"customer_key": [0, 1]}), {})
    assert tie.slopes.empty
    assert tie.per_journey == 1.0
