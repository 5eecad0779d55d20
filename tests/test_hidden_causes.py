"""What a manager reads about hidden causes and checks."""

from __future__ import annotations

import math

import pandas as pd

from flows.hidden_causes import control_sentence, doubts_block, hidden_cause_sentence, placebo_sentence, undone_by
from flows.report_data import ReportHeader


def row(**given) -> pd.Series:
    found = {
        "title": "Answer faster", "churn_effect": -0.0039, "churn_lo": -0.0047, "churn_hi": -0.0031,
        "churn_as_strong_as": "age_band", "churn_bend": 0.0012, "churn_times_as_strong": 2.56, "churn_band_lo": -0.0059,
        "churn_band_hi": -0.0019, "churn_robustness_value": 0.023, "revenue_band_lo": -1.2, "revenue_band_hi": 1.8,
        "effect_verdict": "likely", "effect_reason": "Beyond chance.", "placebo": "passes", "placebo_effect": -0.03,
        "placebo_lo": -0.07, "placebo_hi": 0.02, "placebo_n": 2156.0,
    }  # fmt: skip
    return pd.Series(found | given)


def test_the_sentence_says_how_far_and_how_strong():
    assert hidden_cause_sentence(row()) == (
        "“Answer faster” changes churn by −0.39 points (90 % interval −0.47 to −0.31). A hidden cause as strong as age "
        "band could move this by at most 0.12 points; it would take one 2.6 times as strong to bring it to zero."
    )
    assert undone_by(row()) == "2.6 x age band"
    assert undone_by(row(effect_verdict="harmful")) == "2.6 x age band"
    assert undone_by(row(effect_verdict="undecided")) == "–"
    # Harm by revenue alone: chance could explain the change of churn, so there is nothing to undo.
    assert undone_by(row(effect_verdict="harmful", churn_hi=0.0006)) == "–"


def test_a_cause_without_bound_and_a_study_without_covariates_are_told_as_such():
    assert "could explain all of it; it would take one 0.4 times" in hidden_cause_sentence(
        row(churn_bend=math.inf, churn_times_as_strong=0.4)
    )
    bare = row(churn_as_strong_as="", churn_times_as_strong=math.nan)
    assert "no covariate says how strong" in hidden_cause_sentence(bare)
    assert undone_by(bare) == "–"


def test_the_placebo_has_number_interval_n_and_result():
    assert placebo_sentence(row(), "EUR") == (
        "Placebo of “Answer faster” passes: it seems to have moved earlier spend by −€0.03 per customer (90 % interval "
        "−€0.07 to €0.02; 2,156 customers)."
    )
    assert placebo_sentence(row(placebo_effect=math.nan), "EUR") == ""


def test_a_negative_control_has_number_interval_n_and_result():
    given = pd.Series(
        {"change": "billing colour x 1.2", "check": "fails", "churn_effect": 0.004, "churn_lo": 0.002,
         "churn_hi": 0.006, "revenue_effect": 0.5, "revenue_lo": 0.2, "revenue_hi": 0.8, "n": 300}
    )  # fmt: skip
    said = control_sentence(given, "EUR")
    assert said.startswith(
        "Negative control billing colour x 1.2 fails: churn +0.40 points (90 % interval +0.20 to +0.60)"
    )
    assert said.endswith("300 customers.")


def test_the_block_tells_likely_effects_and_failing_placebos_and_lists_all_simulated_ones():
    header = ReportHeader(
        study="s", currency="EUR", made_at="now", version="1", data_start="", data_end="", customers=1, rows=1,
        cutoffs=(), horizon_days=91, months=24, churn_rate=0.05,
    )  # fmt: skip
    failing = row(title="Mend bills", effect_verdict="possible", placebo="fails", churn_effect=-0.001)
    refused = row(title="Storms", churn_effect=math.nan)
    block = doubts_block(pd.DataFrame([failing, row(), refused]), header)
    told = " ".join((*block.sentences, *block.items))
    assert "“Answer faster” changes churn" in told
    assert "Placebo of “Mend bills” fails" in told
    assert "Placebo of “Answer faster”" not in told
    assert "Storms" not in told
