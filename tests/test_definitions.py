"""What each feature makes of a few contacts: the specification of the catalogue, one line a feature."""

import math

import pytest

from features.definitions import Context, Definition, of_contacts, of_customer, of_revenue, unit_suffix
from features.facts import Recorded
from features.measure_definitions import of_measure
from features.study import parse_study
from tests.feature_specs import PAGE, SPECS, STUDY, STUDY_READ, Spec, page, small_catalogue, values

EVERYTHING = Context(
    STUDY_READ,
    Recorded(channels=True, departments=True, causes=True, sessions=True),
    frozenset(STUDY_READ.measure_names),
)
NOTHING = Context(STUDY_READ, Recorded(), frozenset())


@pytest.fixture(scope="module")
def found() -> dict[str, float]:
    return values()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_what_each_feature_makes_of_seven_contacts(found: dict[str, float], spec: Spec) -> None:
    if math.isnan(spec.value):
        assert math.isnan(found[spec.name])
    else:
        assert found[spec.name] == pytest.approx(spec.value)


def test_every_kind_of_feature_has_an_example() -> None:
    """Two features are of a kind when only the names of journey, touchpoint and measure differ."""

    def kind(name: str) -> str:
        feature = next(one for one in small_catalogue().features if one.name == name)
        measure = next((one for one in STUDY_READ.measures if one.name == feature.measure), None)
        stem = name.removeprefix(f"{feature.journey}__").removeprefix(f"{feature.touchpoint}__")
        return stem if measure is None else stem.removeprefix(measure.name).replace("_min_", "_").replace("_days_", "_")

    without = {"tenure_days", "season__sin", "season__cos"}
    every = {kind(feature.name) for feature in small_catalogue().features if feature.name not in without}
    shown = {kind(spec.name) for spec in SPECS}
    short = {
        name for name in every - shown if name.rsplit("__", 1)[-1] not in {one.rsplit("__", 1)[-1] for one in shown}
    }
    assert not short, short


def test_the_reference_page_is_what_the_specification_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.feature_specs"


def statistics(name: str) -> set[str]:
    measure = next(one for one in STUDY_READ.measures if one.name == name)
    return {definition.name.rsplit("__", 1)[-1] for definition in of_measure(EVERYTHING, measure)}


def test_a_rating_is_only_averaged_and_remembered_and_its_answers_counted() -> None:
    rating = next(one for one in STUDY_READ.measures if one.is_rating)
    assert [definition.name for definition in of_measure(EVERYTHING, rating)] == [
        "rating_points__mean",
        "rating_points__last",
        "rating_points__trend",
        "rating_answered_share__mean",
        "rating_bad_though_resolved_share__mean",
    ]


def test_a_burden_exists_where_something_hurts() -> None:
    assert all("burden" in statistics(name) for name in ("wait", "resolved", "failed"))
    reading = parse_study(
        STUDY.replace(
            "outage, unit: h, kind: duration, direction: lower, control: none",
            "reading, unit: s, kind: duration, direction: higher",
        ),
        "study.yaml",
    )
    measure = next(one for one in reading.measures if one.name == "reading")
    assert not any("burden" in one.name for one in of_measure(EVERYTHING, measure))


def test_only_shares_have_an_outcome_of_the_journey() -> None:
    assert "final" in statistics("resolved") & statistics("failed")
    assert "final" not in statistics("wait")


@pytest.mark.parametrize(
    ("recorded", "name"),
    [
        (Recorded(channels=True), "switches_count__mean"),
        (Recorded(departments=True), "handoffs_count__mean"),
        (Recorded(causes=True), "asked_again_count__total"),
        (Recorded(sessions=True), "open_count__total"),
    ],
)
def test_what_is_not_recorded_has_no_feature(recorded: Recorded, name: str) -> None:
    having = {one.name for one in of_contacts(Context(STUDY_READ, recorded, frozenset()), "support")}
    assert name in having
    assert name not in {one.name for one in of_contacts(NOTHING, "support")}


def test_a_short_window_has_no_recent_part_and_no_trend() -> None:
    short = parse_study(STUDY + "snapshot: {window_days: 30}\n", "study.yaml")
    context = Context(short, Recorded(), frozenset(short.measure_names))
    every = [*of_customer(context), *of_revenue("EUR", 30)]
    every += [definition for measure in short.measures for definition in of_measure(context, measure)]
    assert not any("recent" in definition.name or "trend" in definition.name for definition in every)


def test_every_definition_says_what_it_is() -> None:
    every: list[Definition] = [*of_contacts(EVERYTHING, "support"), *of_customer(EVERYTHING), *of_revenue("EUR", 180)]
    every += [definition for measure in STUDY_READ.measures for definition in of_measure(EVERYTHING, measure)]
    assert all(definition.words and definition.unit for definition in every)


@pytest.mark.parametrize(
    ("unit", "suffix"), [("min", "min"), ("EUR", "eur"), ("%", "unit"), ("Stück/Tag", "stück_tag")]
)
def test_units_become_parts_of_names(unit: str, suffix: str) -> None:
    assert unit_suffix(unit) == suffix
