"""Ctrl-C and SIGTERM as the ordinary end of a command that runs until it is told to end."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

__all__ = ["ends_at_signals"]

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class _Ended(KeyboardInterrupt):
    """A signal came. Event loops let no other exception through whatever task is on."""


@contextmanager
def ends_at_signals(last_words: str) -> Iterator[None]:
    """Leave the block at the first signal, as if it were done; what it has opened is closed.

    Parameters
    ----------
    last_words : str
        Said to people where a signal ended the block.

    Notes
    -----
    What the block runs may take the signals itself, such as a loop that winds up its work. In a thread other than the
    main one, where signals cannot be taken, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {one: signal.signal(one, _end) for one in _SIGNALS}
    try:
        yield
    except _Ended:
        from flows import console  # noqa: PLC0415 (seconds, in which a signal may come)

        console.say(last_words)
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _end(number: int, frame: FrameType | None) -> None:
    """Say that it ends; closing takes seconds, in which further signals change nothing."""
    del number, frame
    for one in _SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    raise _Ended
