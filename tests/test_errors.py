import pickle  # noqa: TID251 (errors travel between our own processes)

import pytest

from features import errors
from features.errors import DataError, JourneyliftError, StudyError, closest, in_full, rounded_up


def _classes() -> list[type[JourneyliftError]]:
    found = [getattr(errors, name) for name in errors.__all__]
    return [item for item in found if isinstance(item, type)]


def test_every_error_class_has_its_own_exit_code() -> None:
    codes = [item.exit_code for item in _classes()]
    assert len(set(codes)) == len(codes)
    assert 0 not in codes


def test_the_exit_codes_are_the_documented_ones() -> None:
    named = {item.__name__: item.exit_code for item in _classes()}
    assert named == {
        "JourneyliftError": 1,
        "StudyError": 2,
        "DataError": 3,
        "LeakError": 4,
        "EmptyResultError": 5,
        "StoreError": 6,
        "ModelError": 7,
        "UnsupportedError": 8,
        "AlarmError": 9,
    }


def test_a_single_message_is_its_only_fault() -> None:
    assert StudyError("x is wrong.").faults == ("x is wrong.",)


def test_collected_faults_are_listed_once_in_order_with_the_advice_last() -> None:
    error = DataError.collect(["b", "a", "b"], "Do this.")
    assert error.faults == ("b", "a")
    assert str(error) == "b\na\nDo this."


def test_an_error_survives_the_way_to_another_process() -> None:
    error = DataError.collect(["a", "b"], "Do this.")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (type(again), str(again), again.faults) == (DataError, str(error), error.faults)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("tme", " Did you mean 'time'?"),
        ("TIME", " Did you mean 'time'?"),
        ("größe", " Did you mean 'Größe'?"),
        ("qqqq", ""),
        ("", ""),
    ],
)
def test_the_nearest_known_name_is_offered_and_nothing_far_away(name: str, hint: str) -> None:
    assert closest(name, ["time", "rating", "Größe"]) == hint


def test_the_hint_does_not_depend_on_the_order_of_the_known_names() -> None:
    assert closest("wait_mix", ["wait_min", "wait_max"]) == closest("wait_mix", ["wait_max", "wait_min"])


@pytest.mark.parametrize(
    ("amount", "full", "up"),
    [
        (1234564.0, "1234564", "1234564"),
        (1234564.001, "1234564.001", "1234564.01"),
        (50000010.0, "50000010", "50000010"),
        (0.1 + 0.2, "0.3", "0.3"),
        (0.001234, "0.001234", "0.001234"),
        (-2.345, "-2.345", "-2.34"),
        (0.0, "0", "0"),
        (100.0, "100", "100"),
        (float("inf"), "Infinity", "Infinity"),
    ],
)
def test_amounts_are_written_in_full_and_what_is_enough_is_rounded_up(amount: float, full: str, up: str) -> None:
    assert (in_full(amount), rounded_up(amount)) == (full, up)
