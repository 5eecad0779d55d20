"""What MLflow shows above a run says figures with units, intervals and n, also where there is little to say."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import nan

import pandas as pd
import pytest

from flows.run_notes import candidate_note, drivers_note, training_note


def rows(outcome: str, metric: str, **values: float) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"candidate": name, "metric": metric, "value": value, "lo": value - 0.01, "hi": value + 0.01, "n": 1_234,
             "fold": fold, "outcome": outcome}
            for name, value in values.items() for fold in ("all", "2025-01-01")
        ]
    )  # fmt: skip


@dataclass
class Judged:
    """As much of an evaluation as a note reads."""

    outcome: str
    winner: str
    sentence: str
    metrics: pd.DataFrame = field(default_factory=pd.DataFrame)


CHURN = Judged("churn", "logistic", "It beats the baseline.", rows("churn", "auc", logistic=0.71, boosting=0.7))
REVENUE = Judged("revenue", "ridge", "It does not beat it.", rows("revenue", "r2", ridge=-0.004, mean=nan))


def test_a_training_says_how_well_each_outcome_is_predicted_and_on_what() -> None:
    assert training_note([CHURN, REVENUE], 20_000) == (
        "**Churn**: logistic, AUC 0.710 (0.700 to 0.720) on 1,234 rows not learned from. It beats the baseline.\n\n"
        "**Revenue**: ridge, R² −0.004 (−0.014 to 0.006) on 1,234 rows not learned from. It does not beat it.\n\n"
        "Fitted on 20,000 rows whose outcome is known; intervals are 90 % intervals."
    )


@pytest.mark.parametrize(
    ("judged", "candidate", "told"),
    [
        (CHURN, "logistic", "logistic, AUC 0.710 (0.700 to 0.720) on 1,234 rows not learned from; 90 % interval. It was"
         " chosen for churn."),
        (CHURN, "boosting", "boosting, AUC 0.700 (0.690 to 0.710) on 1,234 rows not learned from; 90 % interval. Chosen"
         " was logistic for churn."),
        (REVENUE, "mean", "mean: no R² can be counted; 90 % interval. Chosen was ridge for revenue."),
    ],
)  # fmt: skip
def test_a_candidate_says_how_good_it_is(judged: Judged, candidate: str, told: str) -> None:
    assert candidate_note(judged, candidate) == told


def drivers(**changed: object) -> dict[str, object]:
    return {
        "outcome": "churn", "journey": "support", "driver": "wait, mean (min)", "share": 0.3, "share_lo": 0.25,
        "share_hi": 0.35, "r2": 0.0142, "n": 16_615, **changed,
    }  # fmt: skip


def effect(**changed: object) -> dict[str, object]:
    return {
        "journey": "support", "touchpoint": "", "measure": "wait", "change": "wait x 0.8", "churn_effect": -0.0033,
        "churn_lo": -0.0039, "churn_hi": -0.0028, "verdict": "likely", "n": 18_527, **changed,
    }  # fmt: skip


def test_association_and_effect_are_two_sentences_with_interval_and_n() -> None:
    table = pd.DataFrame(
        [drivers(driver="", share=0.9), drivers(), drivers(driver="talk, mean (min)", share=0.1),
         drivers(outcome="revenue", share=0.8), drivers(share=nan)]
    )  # fmt: skip
    effects = pd.DataFrame([effect(measure="talk", churn_effect=-0.001), effect(), effect(churn_effect=nan)])
    assert drivers_note(table, effects, 91) == (
        "**Association**: support · wait goes along with churn most, with 30\u00a0% (25\u00a0% to 35\u00a0%) of the R² "
        "of 0.014, n = 16,615. **Effect**: of 2 improvements support: wait\u00a0×\u00a00.8 does most for churn, which "
        "it changes by −0.33 points over 91 days (−0.39 to −0.28; likely), n = 18,527. Intervals are 90 % intervals."
    )


def test_what_is_not_ranked_or_estimated_is_said() -> None:
    told = drivers_note(pd.DataFrame([drivers(share=nan)]), pd.DataFrame(), 91)
    assert told.startswith("No **association** of drivers with churn is ranked. No **effect** could be estimated.")
