import asyncio
import os
import signal
import sys
from contextlib import suppress

import pytest

from flows.endings import ends_at_signals

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends itself signals of Unix")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_an_ordinary_end_and_what_was_opened_is_closed(
    how: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    went: list[str] = []
    monkeypatch.setattr("flows.console.say", went.append)
    with ends_at_signals("ended."):
        try:
            os.kill(os.getpid(), how)
            went.append("on")
        finally:
            os.kill(os.getpid(), how)  # again, while it closes
            went.append("closed")
    assert went == ["closed", "ended."]
    assert {one: signal.getsignal(one) for one in before} == before


def test_it_ends_a_loop_that_has_not_taken_signals_yet() -> None:
    went: list[str] = []

    async def late() -> None:
        with suppress(Exception):
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(60)
        went.append("on")

    with ends_at_signals("ended."):
        asyncio.run(late())
        went.append("on")
    assert went == []


def test_what_is_no_signal_goes_through() -> None:
    with pytest.raises(KeyboardInterrupt), ends_at_signals("ended."):
        raise KeyboardInterrupt
