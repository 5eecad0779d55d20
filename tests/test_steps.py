from collections.abc import Callable

import pytest

from features.errors import DataError
from flows.steps import flow, io_step

Attempt = Callable[[], None]


def _flow_that_fails_with(fault: Exception, counted: list[int]) -> Attempt:
    @io_step("attempt", waits=(0, 0))
    def attempt() -> None:
        counted.append(1)
        raise fault

    @flow(name="trial")
    def trial() -> None:
        attempt()

    return trial


@pytest.mark.parametrize(
    ("fault", "times"), [(OSError("disk busy"), 3), (DataError("a column is missing"), 1), (TypeError("a bug"), 1)]
)
def test_only_what_may_pass_is_tried_again(fault: Exception, times: int) -> None:
    counted: list[int] = []
    with pytest.raises(type(fault), match=str(fault)):
        _flow_that_fails_with(fault, counted)()
    assert len(counted) == times
