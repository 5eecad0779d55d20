import pytest

from features.findings import Finding, numbered, worst_first


def _finding(severity: str, topic: str = "wait") -> Finding:
    return Finding(severity, topic, "12 rows are odd.", 12, "rows", "Mend them.")  # type: ignore[arg-type]


def test_the_worst_come_first_and_equals_keep_their_order() -> None:
    found = [_finding("fine", "a"), _finding("look", "b"), _finding("stop", "c"), _finding("look", "d")]
    assert [one.topic for one in worst_first(found)] == ["c", "b", "d", "a"]


def test_a_finding_says_what_and_what_to_do() -> None:
    assert _finding("look").sentence == "12 rows are odd. Mend them."
    assert Finding("fine", "x", "All is well.", 0, "rows").sentence == "All is well."


@pytest.mark.parametrize(
    ("rows", "examples", "text"),
    [
        (1, (17,), "row 17"),
        (2, (17, 204), "rows 17 and 204"),
        (3, (17, 204, 5001), "rows 17, 204 and 5,001"),
        (1_203, (17, 204, 5001), "rows 17, 204, 5,001 and 1,200 more"),
    ],
)
def test_rows_are_named_by_their_numbers(rows: int, examples: tuple[int, ...], text: str) -> None:
    assert numbered(rows, examples) == text
