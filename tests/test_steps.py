import logging
from collections.abc import Callable

import pytest
from prefect.events import emit_event
from prefect.events.worker import EventsWorker

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


@pytest.mark.parametrize(("event", "said"), [("prefect.flow-run.heartbeat", []), ("journeylift.monitor.act", [1])])
def test_a_heartbeat_that_comes_too_late_is_no_fault_but_another_event_that_is_lost_is(
    event: str, said: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def at_its_end() -> None:
        raise RuntimeError("cannot schedule new futures after shutdown")

    class Told(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(record)

    told: list[logging.LogRecord] = []
    logger, handler = logging.getLogger("prefect.events.utilities"), Told()
    monkeypatch.setattr(EventsWorker, "instance", at_its_end)
    monkeypatch.setattr("prefect.events.utilities.should_emit_events", lambda: True)
    logger.addHandler(handler)
    try:
        assert emit_event(event, resource={"prefect.resource.id": "journeylift.test"}) is None
    finally:
        logger.removeHandler(handler)
    assert [1 for record in told if event in record.getMessage()] == said
