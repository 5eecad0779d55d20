from dataclasses import replace
from pathlib import Path

import pytest

from flows import console
from flows.score_store import Published, Written
from flows.score_told import Scored, did, show_scored
from tests.test_score_store import KEY

TOTALS = {"churn_risk": 30.0, "expected_revenue": None, "revenue_at_risk": 4_560.0}
NOW = Published(Path("scores") / "cutoff_date=2025-06-01", KEY, 2, ("data", "model"), {}, Written(250, "abc", TOTALS))


@pytest.mark.parametrize(
    ("how", "was_whole", "said"),
    [
        ("new", True, "2025-06-01: scored as revision 2 (data changed, other model)."),
        ("unchanged", True, "2025-06-01: scored already by these models from these rows (revision 2): nothing was "),
        ("equal", True, "2025-06-01: the same bytes came out (revision 2)."),
        ("equal", False, "2025-06-01: its file was damaged or gone and was written again (revision 2)."),
        ("restated", True, "2025-06-01: restated as revision 2 (data changed, other model); earlier ones: journeylift"),
    ],
)
def test_a_run_says_what_it_did_to_a_cutoff(how: str, was_whole: bool, said: str) -> None:
    assert did(Scored(NOW, how, "run", None), was_whole=was_whole).startswith(said)  # type: ignore[arg-type]


def test_the_result_of_a_cutoff_holds_means_and_no_number_where_there_is_none() -> None:
    found = Scored(NOW, "restated", "run", True).to_json()
    assert (found["mean_churn_risk"], found["expected_revenue"], found["revenue_at_risk"]) == (0.12, None, 4_560.0)
    assert (found["cutoff"], found["churn_model_version"], found["revenue_model_version"]) == ("2025-06-01", "1", "2")
    assert (found["why"], found["delivered"]) == (["data", "model"], True)


def test_many_cutoffs_are_one_table_in_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    console.set_up()
    later = replace(NOW, key=replace(KEY, cutoff="2025-07-01"), revision=1, why=("first",))
    show_scored([Scored(NOW, "unchanged", "a", None), Scored(later, "new", "b", None)], "EUR")
    rows = [line.split() for line in capsys.readouterr().out.replace("\u00a0", " ").splitlines() if line[:2] == "20"]
    assert rows == [
        ["2025-06-01", "250", "12.0", "%", "€4,560", "2", "as", "it", "was"],
        ["2025-07-01", "250", "12.0", "%", "€4,560", "1", "first", "scores"],
    ]
