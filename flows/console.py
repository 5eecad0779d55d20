"""What a person sees while a command runs: lines, tables, and progress on what takes longer than two seconds."""

from __future__ import annotations

import logging
import math
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from flows.wording import dash, span

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Closing", "Tick", "count", "intervals", "progress", "say", "set_up", "show_table"]

_LOGGER: Final = logging.getLogger("journeylift")
_PATIENCE_S: Final = 2.0
_INTERVAL_S: Final = 5.0
_GAP: Final = 2
"""Characters between the columns of a table."""


class Tick(Protocol):
    """Called by long computations: what is being done, and how much of how much is done."""

    def __call__(self, message: str, done: int = 0, total: int = 0, /) -> None:
        """Take the news."""


@dataclass(frozen=True, slots=True)
class Closing:
    """The one line that ends every flow.

    Parameters
    ----------
    step : str
        What ran.
    rows_in, rows_out : str
        Number and kind of what came in and went out.
    seconds : float
        How long it took.
    where : str
        Where the result is.

    Examples
    --------
    >>> print(Closing("score", "900 customers", "900 scores", 1.26, "store/scores").line())
    score: 900 customers in, 900 scores out, 1.3 s -> store/scores
    """

    step: str
    rows_in: str
    rows_out: str
    seconds: float
    where: str

    def line(self) -> str:
        """Write it as one line."""
        return f"{self.step}: {self.rows_in} in, {self.rows_out} out, {self.seconds:.1f} s -> {self.where}"


def set_up(*, results_on_stdout: bool = True, verbose: bool = False) -> None:
    """Show our own messages on the terminal; what Prefect and MLflow say of errors is told at the end anyway.

    Parameters
    ----------
    results_on_stdout : bool
        False when stdout carries JSON for a machine; everything for people then goes to stderr.
    verbose : bool
        Let them tell of errors too, with their tracebacks.
    """
    _LOGGER.handlers = [_Terminal(_console(stderr=not results_on_stdout))]
    _LOGGER.setLevel(logging.INFO)
    _LOGGER.propagate = False
    for name in ("prefect.flow_runs", "prefect.task_runs", "mlflow.store.db.utils"):
        logger = logging.getLogger(name)
        logger.removeFilter(_is_told_here)
        if not verbose:
            logger.addFilter(_is_told_here)


def _is_told_here(record: logging.LogRecord) -> bool:
    return record.levelno < logging.ERROR


def say(message: str) -> None:
    """Tell one thing in one line; collected by Prefect when it is asked to (``PREFECT_LOGGING_EXTRA_LOGGERS``).

    Parameters
    ----------
    message : str
        The line.
    """
    _LOGGER.info("%s", message)


def count(number: int, noun: str) -> str:
    """Write a number and its noun.

    Parameters
    ----------
    number : int
        How many.
    noun : str
        In the singular; an ``s`` makes it plural.

    Returns
    -------
    str
        Such as ``'1 model'`` or ``'1,200 rows'``.

    Examples
    --------
    >>> count(1, "model"), count(1200, "row")
    ('1 model', '1,200 rows')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def intervals(frame: pd.DataFrame, names: tuple[str, str, str], write: Callable[[float], str]) -> list[str]:
    """Write estimates with their intervals.

    Parameters
    ----------
    frame : DataFrame
        Result rows.
    names : tuple of str
        Columns of the value, its low and its high end.
    write : callable
        Writes one number.

    Returns
    -------
    list of str
        Such as ``'−0.41 (−0.62 to −0.20)'``; a dash where there is no value.
    """
    rows = frame[list(names)].astype(float).to_numpy()
    return [
        f"{write(value)} ({span(lo, hi, write)})" if not math.isnan(value) else dash for value, lo, hi in rows.tolist()
    ]


def show_table(title: str, frame: pd.DataFrame, columns: Sequence[str] | None = None) -> None:
    """Show a table of results.

    Parameters
    ----------
    title : str
        Heading of the table.
    frame : DataFrame
        Rows; numbers are shown with four significant digits.
    columns : sequence of str, optional
        The columns to show; all when left out.

    Notes
    -----
    Where the terminal is narrow, headings are wrapped first, and names (the first column) and intervals last.
    """
    shown = frame.loc[:, list(columns)] if columns is not None else frame
    for handler in _LOGGER.handlers:
        if isinstance(handler, _Terminal):
            handler.console.print(_laid_out(title, shown, handler.console.width))


def _laid_out(title: str, shown: pd.DataFrame, width: int) -> Table:
    from pandas.api.types import is_numeric_dtype  # noqa: PLC0415 (whoever has a table to show has imported pandas)

    table = Table(title=Text(title), title_justify="left", header_style="bold", box=None, pad_edge=False)
    cells = {str(name): [_cell(value) for value in shown[name]] for name in shown.columns}
    widths = _widths(cells, width)
    for name in cells:
        numeric = is_numeric_dtype(shown[name])
        table.add_column(Text(name), justify="right" if numeric else "left", overflow="fold", width=widths.get(name))
    for row in zip(*cells.values(), strict=True):
        table.add_row(*map(Text, row))
    return table


def _widths(cells: dict[str, list[str]], width: int) -> dict[str, int]:
    """Share out the width so that no word is broken; none where that cannot be, and rich has to break some."""
    given = {name: max(map(len, " ".join([name, *column]).split())) for name, column in cells.items()}
    left = width - _GAP * (len(cells) - 1) - sum(given.values())
    if left < 0:
        return {}
    # Names stay on one line first, then intervals, then what is short, then headings.
    names = list(cells)
    is_interval = [name.endswith("(90 %)") for name in names]
    ordered = names[:1] + sorted(names[1:], key=lambda name: not is_interval[names.index(name)])
    lines = {name: max((len(line) for cell in cells[name] for line in cell.splitlines()), default=0) for name in names}
    for wanted in (lines, {name: len(name) for name in names}):
        for name in ordered:
            more = min(max(wanted[name] - given[name], 0), left)
            given[name], left = given[name] + more, left - more
    return given


class _Terminal(logging.Handler):
    """Writes bare messages through a rich console, so that they appear above a running progress bar."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self.console = console

    def emit(self, record: logging.LogRecord) -> None:
        self.console.print(Text(record.getMessage()), soft_wrap=True)


@contextmanager
def progress(title: str) -> Iterator[Tick]:
    """Show progress while something runs: a bar on a terminal, a line every few seconds elsewhere.

    Parameters
    ----------
    title : str
        What runs, such as ``'train'``.

    Yields
    ------
    Tick
        To be called by the computation; it may stay silent, the elapsed time is shown all the same.
    """
    console = _console(stderr=True)
    if console.is_terminal:
        yield from _bar(title, console)
    else:
        yield from _lines(title)


def _bar(title: str, console: Console) -> Iterator[Tick]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        bar: TaskID = bars.add_task(title, total=None)

        def tick(message: str, done: int = 0, total: int = 0, /) -> None:
            bars.update(bar, description=f"{title}: {message}", completed=done, total=total or None)

        yield tick


@dataclass(slots=True)
class _Pulse:
    """The latest state of a computation, written out by a thread every few seconds."""

    title: str
    state: str = ""
    started: float = field(default_factory=time.monotonic)
    over: threading.Event = field(default_factory=threading.Event)

    def beat(self) -> None:
        """Write lines until told that it is over; none at all for what ends within two seconds."""
        pause = _PATIENCE_S
        while not self.over.wait(pause):
            say(f"{self.title}: {self.state or 'running'} ({time.monotonic() - self.started:.0f} s)")
            pause = _INTERVAL_S


def _lines(title: str) -> Iterator[Tick]:
    pulse = _Pulse(title)

    def tick(message: str, done: int = 0, total: int = 0, /) -> None:
        pulse.state = f"{message} {done}/{total}" if total else message

    thread = threading.Thread(target=pulse.beat, name="journeylift-progress", daemon=True)
    thread.start()
    try:
        yield tick
    finally:
        pulse.over.set()
        thread.join()


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    # Without a terminal rich assumes 80 columns and folds paths and tables that a log file has room for.
    return Console(stderr=stderr, soft_wrap=True) if stream.isatty() else Console(stderr=stderr, width=160)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4g}"
    return str(value)
