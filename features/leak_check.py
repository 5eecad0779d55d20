"""Tests the point-in-time law on a user's own extract at some cutoffs, and says what breaks it."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from features.errors import DataError, EmptyResultError, UnsupportedError
from features.folds import CUSTOMER
from features.layout import Layout, lay_out
from features.leak_causes import Cause, Evidence, changes, explain
from features.leak_law import Compared, Deviation, compare, pinned_catalogue
from features.measures import Catalogue
from features.publish import store_error, sweep
from features.snapshot import cutoffs as grid_cutoffs
from features.snapshot import day_end, first_with_history, iso, matured
from features.sources import connected, open_sources
from features.study import Study
from features.truncation import Truncation

__all__ = ["Difference", "LeakCheck", "check_leaks"]

Tick: TypeAlias = Callable[[str, int, int], None]

_CUTOFFS = 3
_TABLES = ("customers", "touchpoints", "revenue", "churn")


@dataclass(frozen=True, slots=True)
class Difference:
    """A feature that knew the future at a cutoff.

    Attributes
    ----------
    cutoff : int
        Microseconds.
    name : str
        The feature, a covariate, or ``at risk``.
    rows, of : int
        Customers for whom it differs, of how many.
    largest : float
        Largest absolute difference; missing for text, and where never both sides have a value.
    table, column : str
        Where it comes from; empty where that is not in the tables.
    cause, advice : str
        What probably happened, and what to do.
    """

    cutoff: int
    name: str
    rows: int
    of: int
    largest: float
    table: str
    column: str
    cause: str
    advice: str


@dataclass(frozen=True, slots=True)
class LeakCheck:
    """What came out of testing the point-in-time law.

    Attributes
    ----------
    cutoffs : tuple of int
        Where it was tested, microseconds, ascending.
    rows : int
        Rows compared: customers at risk, summed over the cutoffs.
    features : int
        Features compared in each row.
    differences : tuple of Difference
        By cutoff; empty if the law holds.
    rounded : tuple of str
        Features that are equal up to rounding at some cutoff, and not bit for bit.
    clocks : tuple of str
        Queries that ask the clock or chance, one sentence each; a warning even where nothing differs.
    unchecked : tuple of str
        What could not be tested, one sentence each.
    """

    cutoffs: tuple[int, ...]
    rows: int
    features: int
    differences: tuple[Difference, ...]
    rounded: tuple[str, ...]
    clocks: tuple[str, ...]
    unchecked: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    @property
    def leaking(self) -> tuple[str, ...]:
        """Names of the features that differ at any cutoff."""
        return tuple(dict.fromkeys(one.name for one in self.differences))

    def to_frame(self) -> pd.DataFrame:
        """Give the differences as a table, one row for each feature and cutoff that differs."""
        columns = ["cutoff", "feature", "rows", "of", "largest", "table", "column", "cause", "advice"]
        rows = [
            (iso(x.cutoff), x.name, x.rows, x.of, x.largest, x.table, x.column, x.cause, x.advice)
            for x in self.differences
        ]
        return pd.DataFrame(rows, columns=columns)


def check_leaks(
    study: Study,
    base: Path,
    store: Path,
    *,
    cutoffs: Sequence[int] | None = None,
    planned: Collection[str] = (),
    sample: int | None = None,
    tick: Tick = lambda *_: None,
) -> LeakCheck:
    """Test whether features at some cutoffs are the same from the whole extract and from what was known then.

    Parameters
    ----------
    study : Study
        An event study.
    base : Path
        Folder of the study file.
    store : Path
        The study's store. Its layout is used, or made first; nothing else of it changes.
    cutoffs : sequence of int, optional
        Microseconds. By default three: the earliest, the middle and the latest whose outcomes are known.
    planned : collection of str
        See `features.truncation.Truncation`.
    sample : int, optional
        About how many customers to check, chosen by their ids; both sides are then laid out from their rows only.
    tick : callable
        Told what is done, how much of it is done, and how much there is.

    Returns
    -------
    LeakCheck

    Raises
    ------
    DataError, EmptyResultError, StoreError
        See `features.layout.lay_out`; also for cutoffs without history.
    StudyError
        If a planned column is unknown.
    UnsupportedError
        For a flat study.

    Notes
    -----
    For each cutoff the sources are truncated (`features.truncation`), the study is laid out again from them in a
    folder of its own inside the store, which is removed at the end, and the features of both layouts are compared bit
    for bit. Time: about a layout for each cutoff.
    """
    if study.is_flat:
        raise UnsupportedError("A flat table has no event times. The law needs them. Nothing can be checked here.")
    now_us = time.time_ns() // 1000
    with _scratch(store) as folder:
        truncation = Truncation(study, now_us, planned, share=_share(study, base, folder, sample))
        if sample is None:
            whole = lay_out(study, base, store, tick=partial(_tell, tick, 0, 0))
        else:
            everything = truncation.at(now_us, 0)
            whole = lay_out(study, base, folder / "whole", lens=everything, tick=partial(_tell, tick, 0, 0))
        trial = _Trial(study, base, folder / "then", whole, pinned_catalogue(study, whole), truncation)
        return trial.check(_chosen(study, whole, cutoffs), tick)


def _tell(tick: Tick, done: int, total: int, message: str) -> None:
    tick(message, done, total)


@dataclass(frozen=True, slots=True)
class _Trial:
    """What is the same at every cutoff."""

    study: Study
    base: Path
    folder: Path
    whole: Layout
    found: Catalogue
    truncation: Truncation

    def check(self, cutoffs: tuple[int, ...], tick: Tick) -> LeakCheck:
        """Test the law at all cutoffs."""
        compared: list[Compared] = []
        differences: list[Difference] = []
        for done, cutoff in enumerate(cutoffs):
            tell = partial(_tell, tick, done, len(cutoffs))
            tell(f"cutoff {iso(cutoff)}")
            one, because = self.at(cutoff, tell)
            compared.append(one)
            differences += because
        return LeakCheck(
            cutoffs=cutoffs,
            rows=sum(one.rows for one in compared),
            features=len(self.found.features),
            differences=tuple(differences),
            rounded=tuple(dict.fromkeys(name for one in compared for name in one.rounded)),
            clocks=tuple(_clocks(self.truncation)),
            unchecked=(*self._left_out(), *self.truncation.unchecked()),
        )

    def at(self, cutoff: int, tick: Callable[[str], None]) -> tuple[Compared, list[Difference]]:
        """Test the law at a cutoff."""
        shutil.rmtree(self.folder, ignore_errors=True)
        lens, now_us = self.truncation.at(cutoff, self.whole.manifest.data_end), self.truncation.now_us
        try:
            then = lay_out(self.study, self.base, self.folder, now_us=now_us, lens=lens, tick=tick)
        except DataError as error:
            return self._without(cutoff, error)
        self.truncation.refuse_unknown_plans()
        tick("comparing features")
        compared = compare(self.study, self.found, self.whole, then, cutoff)
        if not compared.deviations:
            return compared, []
        tick("looking for causes")
        evidence = self._evidence(then, cutoff)
        return compared, [self._difference(cutoff, one, evidence) for one in compared.deviations]

    def _left_out(self) -> Iterator[str]:
        if self.truncation.share < 1:
            yield f"customers outside the sample of {self.whole.manifest.n_customers:,}."

    def _without(self, cutoff: int, error: DataError) -> tuple[Compared, list[Difference]]:
        """Tell of an extract that cannot be laid out as it stood, although the whole one has rows there."""
        compared = compare(self.study, self.found, self.whole, None, cutoff)
        sentence = f"as the tables stood then they cannot be used: {error.message}"
        advice = "Make the query work with the rows of any earlier day."
        cause = Cause("", "", sentence, advice)
        return compared, [_difference(cutoff, one, cause) for one in compared.deviations]

    def _evidence(self, then: Layout, cutoff: int) -> Evidence:
        """Compare the laid out rows, and look for times after the cutoff in the sources that are files."""
        lens = self.truncation.at(cutoff, self.whole.manifest.data_end)
        with connected(self.folder, self.study.resources) as con:
            open_sources(con, self.study, self.base, lens)
            late = lens.late(con)
        with connected(self.folder, self.study.resources) as con:
            found = changes(con, self.study, self.whole, then, cutoff)
        queries = {label: query for label in _TABLES if (query := self.truncation.query(label)) is not None}
        columns, measures = self.found.columns, self.study.measure_names
        covariates = self.study.customers.covariates if self.study.customers is not None else ()
        made = [*(("touchpoints", name) for name in measures), *(("customers", name) for name in covariates)]
        return Evidence(
            changes=found,
            queries=queries,
            late={label: tuple(x for x in late if self.truncation.feeds(label, x.place)) for label in _TABLES},
            revenue_features=frozenset(
                columns[f"{name}__{CUSTOMER}"] for name in self.found.revenue_plan.touch_features[CUSTOMER]
            ),
            origins={(label, name): self.truncation.origins(label, name) for label, name in made},
        )

    def _difference(self, cutoff: int, deviation: Deviation, evidence: Evidence) -> Difference:
        feature = next((one for one in self.found.features if one.name == deviation.name), None)
        return _difference(cutoff, deviation, explain(deviation.name, feature, evidence))


def _difference(cutoff: int, deviation: Deviation, cause: Cause) -> Difference:
    return Difference(
        cutoff,
        deviation.name,
        deviation.rows,
        deviation.of,
        deviation.largest,
        cause.table,
        cause.column,
        cause.sentence,
        cause.advice,
    )


def _clocks(truncation: Truncation) -> Iterator[str]:
    for label in _TABLES:
        query = truncation.query(label)
        if query is not None and query.clocks:
            yield f"{label}.sql asks the clock: {', '.join(query.clocks)}."
        if query is not None and query.chance:
            yield f"{label}.sql draws at random: {', '.join(query.chance)}."


def _chosen(study: Study, layout: Layout, cutoffs: Sequence[int] | None) -> tuple[int, ...]:
    """Check the cutoffs that are asked for, or spread some over those whose outcomes are known."""
    grid, start, end = study.snapshot, layout.manifest.data_start, layout.manifest.data_end
    span = f"The data reach from {iso(start)} to {iso(end)}."
    if cutoffs:
        outside = [iso(cutoff) for cutoff in cutoffs if not start < cutoff <= day_end(end)]
        if outside:
            raise EmptyResultError(f"{', '.join(outside)} lies outside the data. {span} Choose cutoffs between.")
        return tuple(sorted(set(cutoffs)))
    every = grid_cutoffs(grid, start, end)
    found = matured(every, grid, end) or every
    if not found:
        first = iso(first_with_history(grid, start))
        raise EmptyResultError(
            f"There is no cutoff to check at. {span} The first with a full window of {grid.window_days} days is "
            f"{first}. Shorten snapshot.window_days, or name cutoffs."
        )
    places = {round(part * (len(found) - 1) / (_CUTOFFS - 1)) for part in range(_CUTOFFS)}
    return tuple(found[place] for place in sorted(places))


def _share(study: Study, base: Path, folder: Path, sample: int | None) -> float:
    """Turn a number of customers into a share of them."""
    if sample is None or study.customers is None:
        return 1.0
    with connected(folder, study.resources) as con:
        reader = open_sources(con, study, base)
        rows = reader.run(f"SELECT count(*) FROM {reader.relation(study.customers, 'customers')}", "customers")[0][0]
    return min(1.0, sample / max(1, int(rows)))


@contextmanager
def _scratch(store: Path) -> Iterator[Path]:
    """Give an empty folder in the store, removed at the end; those of dead processes are removed first."""
    folder = store / f"leaks.tmp-{os.getpid()}"
    try:
        sweep(store / "leaks")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    except OSError as error:
        raise store_error(folder, error) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
