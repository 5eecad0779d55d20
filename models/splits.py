"""Which rows train and which rows test, without a glance into the future.

Panel rows of one customer at neighbouring cutoffs are nearly the same row, and their outcome windows overlap. A random
split would test a model on what it has learned by heart. Here a model is tested on cutoffs that begin only after every
outcome it was trained on had been observed; a table with a single cutoff is split by customer, and where rows of
different customers are near copies of each other (`features.replicas`), by group of copies.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.errors import EmptyResultError
from features.replicas import GROUP
from features.snapshot import DAY, iso

__all__ = [
    "AnyFold",
    "CustomerFold",
    "Fold",
    "Split",
    "cluster_column",
    "grouped",
    "grouping_note",
    "picture",
    "plan_folds",
    "rolling_origin",
]

IndexArray = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Split:
    """Row positions of one fold in one frame.

    Attributes
    ----------
    train, test : ndarray of intp
        Positions, ascending, without a common element.
    """

    train: IndexArray
    test: IndexArray


@dataclass(frozen=True, slots=True)
class Fold:
    """Train on some cutoffs, test on a later one.

    Where rows of different customers are near copies of each other, a group that tests does not train.

    Attributes
    ----------
    train : tuple of int
        Cutoffs in microseconds, ascending; the outcome of each was known at ``test``.
    test : int
        The cutoff whose rows test.
    """

    train: tuple[int, ...]
    test: int

    @property
    def label(self) -> str:
        """The date of the test cutoff."""
        return iso(self.test)

    def split(self, frame: pd.DataFrame) -> Split:
        """Find the rows of this fold in a frame with a column ``cutoff``."""
        at = cutoff_microseconds(frame)
        trains, tests = np.isin(at, self.train), at == self.test
        if GROUP in frame:
            trains &= ~(_is_shared(frame) & frame[GROUP].isin(frame.loc[tests, GROUP].unique()).to_numpy())
        return Split(np.flatnonzero(trains), np.flatnonzero(tests))


@dataclass(frozen=True, slots=True)
class CustomerFold:
    """Train on some customers, test on the others, for a table with one cutoff.

    Attributes
    ----------
    label : str
        Name of the fold.
    test_customers : frozenset of str
        Customers whose rows test; all others train.
    """

    label: str
    test_customers: frozenset[str]

    def split(self, frame: pd.DataFrame) -> Split:
        """Find the rows of this fold in a frame with a column ``customer_id``."""
        tests = frame["customer_id"].astype(str).isin(self.test_customers).to_numpy()
        return Split(np.flatnonzero(~tests), np.flatnonzero(tests))


AnyFold = Fold | CustomerFold


def rolling_origin(
    cutoffs: Iterable[int], *, gap_days: int, horizon_days: int, folds: int = 3, min_train: int = 1
) -> tuple[Fold, ...]:
    """Test on the latest cutoffs, each with all training cutoffs whose outcomes had matured by then.

    Parameters
    ----------
    cutoffs : iterable of int
        Matured cutoffs in microseconds, in any order; duplicates are ignored.
    gap_days, horizon_days : int
        Lengths of the snapshot: the embargo between a training cutoff and the test cutoff is their sum.
    folds : int
        How many test cutoffs at most. They lie gap + horizon apart when there are enough, counted from the oldest that
        can test: then the outcomes of one are known at the next, and a later training, with new cutoffs at the end,
        tests on the same ones again. Otherwise the latest ones are taken as they come.
    min_train : int
        Fewest training cutoffs of a fold.

    Returns
    -------
    tuple of Fold
        Ascending by test cutoff; at least one.

    Raises
    ------
    EmptyResultError
        No cutoff is preceded by ``min_train`` cutoffs whose outcomes were known by then.

    Examples
    --------
    >>> monthly = [0, 30 * DAY, 60 * DAY, 90 * DAY]
    >>> [(len(fold.train), fold.test // DAY) for fold in rolling_origin(monthly, gap_days=0, horizon_days=30, folds=2)]
    [(2, 60), (3, 90)]
    """
    known = sorted(set(cutoffs))
    embargo = (gap_days + horizon_days) * DAY
    trainable = {test: tuple(at for at in known if at + embargo <= test) for test in known}
    eligible = [test for test in known if len(trainable[test]) >= max(1, min_train)]
    if not eligible:
        raise EmptyResultError(_too_few(known, gap_days + horizon_days))
    tests = _spaced(eligible, embargo)
    if len(tests) < folds:
        tests = eligible
    return tuple(Fold(trainable[test], test) for test in tests[-folds:])


def grouped(frame: pd.DataFrame, folds: int, rng: np.random.Generator) -> tuple[CustomerFold, ...]:
    """Split customers at random into folds, every row of a customer, and of a group of near copies, on the same side.

    Parameters
    ----------
    frame : DataFrame
        Rows with a column ``customer_id`` and perhaps ``replica_group``.
    folds : int
        How many; each customer tests in exactly one.
    rng : numpy.random.Generator
        Decides who is where; the order of the rows has no influence.

    Returns
    -------
    tuple of CustomerFold
        ``folds`` of them; sizes differ by one customer at most, by one group where there are groups.

    Raises
    ------
    EmptyResultError
        Fewer customers, or groups, than folds.
    """
    people = frame[["customer_id", cluster_column(frame)]].astype(str).set_axis(["customer", "cluster"], axis=1)
    people = people.drop_duplicates("customer").sort_values("customer")
    sizes = people["cluster"].value_counts().sort_index()
    if len(sizes) < max(2, folds):
        kind = "customers" if len(sizes) == len(people) else "groups of near copies"
        raise EmptyResultError(
            f"The table has {len(sizes)} {kind}. At least {max(2, folds)} are needed to train on some and test "
            "on others. Bring more customers."
        )
    number = people["cluster"].map(_dealt(sizes, folds, rng)).to_numpy()
    customers = people["customer"].to_numpy(object)
    return tuple(
        CustomerFold(f"part {part + 1} of {folds}", frozenset(customers[number == part])) for part in range(folds)
    )


def cluster_column(frame: pd.DataFrame) -> str:
    """Name the column whose rows cannot be taken apart: groups of near copies where they are known, else customers."""
    return GROUP if GROUP in frame else "customer_id"


def grouping_note(frame: pd.DataFrame) -> str:
    """Say that near copies are kept together, for people; empty where there are none."""
    shared = _is_shared(frame) if GROUP in frame else np.zeros(len(frame), bool)
    if not shared.any():
        return ""
    groups = frame.loc[shared, GROUP].nunique()
    return (
        f"{int(shared.sum()):,} rows are near copies of rows of other customers: their {groups:,} groups are kept "
        "whole, in tests and in intervals."
    )


def plan_folds(
    frame: pd.DataFrame, *, gap_days: int, horizon_days: int, rng: np.random.Generator, folds: int = 3
) -> tuple[AnyFold, ...]:
    """Split by time when the frame has several cutoffs, by customer when it has one.

    Parameters
    ----------
    frame : DataFrame
        Matured panel rows with ``customer_id`` and ``cutoff``.
    gap_days, horizon_days : int
        Lengths of the snapshot.
    rng : numpy.random.Generator
        Used for a split by customer only.
    folds : int
        How many.

    Returns
    -------
    tuple of Fold or tuple of CustomerFold
        See :func:`rolling_origin` and :func:`grouped`.
    """
    known = np.unique(cutoff_microseconds(frame)).tolist()
    if len(known) == 1:
        return grouped(frame, folds, rng)
    return rolling_origin(known, gap_days=gap_days, horizon_days=horizon_days, folds=folds)


def picture(folds: Sequence[AnyFold], cutoffs: Iterable[int] = ()) -> str:
    """Draw folds as text: one line a fold, one sign a cutoff.

    Parameters
    ----------
    folds : sequence of Fold or CustomerFold
        Folds of one plan.
    cutoffs : iterable of int
        All matured cutoffs, so that those in the embargo are drawn too.

    Returns
    -------
    str
        ``#`` trains, ``T`` tests, ``.`` lies in the embargo or is not used.

    Examples
    --------
    >>> print(picture([Fold((0, 30 * DAY), 60 * DAY), Fold((0, 30 * DAY, 60 * DAY), 90 * DAY)]))
    fold 1  ##T   tested on 1970-03-02
    fold 2  ###T  tested on 1970-04-01
    # trains, T tests, . embargo; first cutoff 1970-01-01
    """
    timed = [fold for fold in folds if isinstance(fold, Fold)]
    if not timed:
        return "\n".join(
            f"{fold.label}: {len(fold.test_customers)} customers test, the others train"
            for fold in folds
            if isinstance(fold, CustomerFold)
        )
    every = sorted({at for fold in timed for at in (*fold.train, fold.test)} | set(cutoffs))
    lines = [
        f"fold {i}  {_signs(fold, every):<{len(every)}}  tested on {fold.label}"
        for i, fold in enumerate(timed, start=1)
    ]
    return "\n".join([*lines, f"# trains, T tests, . embargo; first cutoff {iso(every[0])}"])


def cutoff_microseconds(frame: pd.DataFrame) -> NDArray[np.int64]:
    """Return the column ``cutoff`` as microseconds since 1970, whatever unit it is stored in."""
    column = frame["cutoff"]
    if pd.api.types.is_integer_dtype(column.dtype):
        return column.to_numpy(dtype=np.int64)
    return pd.DatetimeIndex(column).as_unit("us").asi8


def _is_shared(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Whether a row's group holds several customers."""
    customers = frame.groupby(GROUP, sort=False)["customer_id"].nunique()
    return np.asarray(frame[GROUP].map(customers).to_numpy() > 1, bool)


def _dealt(sizes: pd.Series, folds: int, rng: np.random.Generator) -> pd.Series:
    """Deal clusters to folds: at random, and where their sizes differ the largest first, each to the smallest fold."""
    order = rng.permutation(len(sizes))
    number = order % folds
    if sizes.min() < sizes.max():
        load = np.zeros(folds, np.int64)
        for place in np.lexsort((order, -sizes.to_numpy())):
            number[place] = load.argmin()
            load[number[place]] += sizes.iloc[place]
    return pd.Series(number, index=sizes.index)


def _spaced(eligible: list[int], distance: int) -> list[int]:
    """Take cutoffs from the oldest on, at least `distance` apart."""
    chosen: list[int] = []
    for cutoff in eligible:
        if not chosen or cutoff - chosen[-1] >= distance:
            chosen.append(cutoff)
    return chosen


def _signs(fold: Fold, every: list[int]) -> str:
    """One sign for each cutoff up to the one that tests."""
    return "".join("#" if at in fold.train else "T" if at == fold.test else "." for at in every if at <= fold.test)


def _too_few(known: list[int], embargo_days: int) -> str:
    """Say which cutoffs there are and why they do not make a fold."""
    have = f"{len(known)} matured cutoffs ({iso(known[0])} to {iso(known[-1])})" if known else "No matured cutoff"
    return (
        f"{have}, none of them {embargo_days} days (gap + horizon) after another. A model is tested on a cutoff at "
        "which the outcomes it learned from were known. Bring a longer history, or set a shorter "
        "snapshot.horizon_days, or let snapshot.first begin earlier."
    )
