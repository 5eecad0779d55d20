"""What a manager reads about the journey premium: the verdict in so many words, with numbers, units and basis."""

import pytest

from flows.premium_section import learned_sentence, money_sentence, premium_section, premium_table, verdict_sentence
from flows.report_data import ReportData
from flows.wording import whole
from tests.premium_found import found
from tests.test_report import HEADER

NOTHING = "journeys add nothing that can be told"


def _plain(text: str) -> str:
    return text.replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("gain", "half", "verdict", "opening"),
    [
        (0.010, 0.003, "journeys add", "Yes: whole journeys predict better who will leave than touchpoints"),
        (0.003, 0.001, "journeys add", "Yes, but hardly so that it matters: whole journeys predict slightly better"),
        (0.004, 0.006, "undecided", "Undecided: these data cannot tell whether whole journeys predict better"),
        (0.001, 0.003, NOTHING, "No gain that matters: whole journeys predict who will leave no better, or hardly"),
    ],
)
def test_the_verdict_comes_first_and_is_as_sure_as_the_interval(
    gain: float, half: float, verdict: str, opening: str
) -> None:
    said = verdict_sentence(found(gain=gain, half=half, verdict=verdict))
    assert said.startswith(opening)


def test_the_numbers_follow_with_unit_and_interval() -> None:
    said = _plain(verdict_sentence(found(gain=0.004, half=0.006)))
    assert said.endswith(
        "Journeys explain 5.4 % of the uncertainty about it, touchpoints alone 5.0 %: +0.40 points (90 % interval "
        "−0.20 to +1.00)."
    )


def test_a_result_of_other_data_says_so_after_the_verdict() -> None:
    assert verdict_sentence(found(is_stale=True)).endswith(
        "Data or features have changed since: run journeylift premium again."
    )
    assert "changed since" not in verdict_sentence(found())


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        ((0.02, -0.01, 0.05), "earns €20.00 more for every 1,000 customers at risk when whole journeys say whom to "
         "approach (90 % interval −€10.00 to €50.00: it may be nothing)."),
        ((0.02, 0.01, 0.03), "(90 % interval €10.00 to €30.00)."),
        ((-0.02, -0.03, -0.01), "earns €20.00 less for every 1,000 customers at risk"),
    ],
)  # fmt: skip
def test_money_is_for_a_thousand_customers_with_the_prices_it_rests_on(
    ends: tuple[float, float, float], told: str
) -> None:
    profit = {"metric": "expected_max_profit", "touchpoints": 0.2, "journeys": 0.2 + ends[0]}
    gains = [{**profit, **dict(zip(("gain", "lo", "hi"), ends, strict=True))}]
    said = money_sentence(found(gains=gains), "EUR")
    assert told in said
    assert said.endswith("worth €300.00, the offer costs €15.00 and reaching a customer €1.50.")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "Touchpoints were tried in every kind of model, whole journeys in two; each learned from at most 20,000 "
         "rows. There are up to 210,000, and more rows tend to favour the journey view, which has more to learn: "
         "journeylift premium --thorough"),
        ({"n_train": 900}, "at most 900 rows. journeylift premium --thorough tries more."),
        ({"is_thorough": True, "most_rows": 60_000}, "Both views were tried in every kind of model; each "
         "learned from at most 60,000 rows."),
    ],
)  # fmt: skip
def test_what_could_be_learned_from_is_said_and_what_more_there_is(changes: dict[str, object], told: str) -> None:
    assert told in learned_sentence(found(**changes))


def test_each_metric_stands_in_its_own_unit_with_the_interval_below() -> None:
    rows = premium_table(found(), "EUR").rows
    assert rows == (
        ("Uncertainty about who leaves explained, %", "5.00", "5.20", "+0.20\n−0.10 to +0.50"),
        ("Log loss (lower is better)", "0.2000", "0.1996", "+0.0004\n−0.0002 to +0.0010"),
        ("AUC: a leaver is ranked above a stayer", "0.6600", "0.6580", "−0.0020\n−0.0060 to +0.0020"),
        ("Profit of the offer for 1,000 customers at risk", "€200.00", "€220.00", "+€20.00\n−€10.00 to +€50.00"),
    )


def test_the_section_counts_the_intervals_above_zero_and_says_on_what_it_rests() -> None:
    section = premium_section(ReportData(HEADER, premium=found()))
    assert section.lead == verdict_sentence(found())
    answer, basis = section.blocks
    assert "it is for 1 of 2. A no needs it to end below 0.5 points against the best of them." in answer.sentences[1]
    assert answer.figure is not None
    assert section.lead in answer.figure.alt
    assert answer.table is not None
    assert "logistic (C = 0.03)" in answer.table.caption
    assert basis.items[0].startswith(f"Tested on {whole(37_274)} rows of 14,153 customers at 2025-01-01, 2025-05-01;")
    assert "1 feature of touchpoints; the journey view knows 2 more" in basis.items[1]


def test_without_a_result_there_is_one_line_that_says_what_to_run() -> None:
    section = premium_section(ReportData(HEADER))
    assert section.lead == "Journeys have not been compared with touchpoints. Run journeylift premium."
    assert section.blocks == ()
