"""Models of churn and spend that several policies share: fitted once for each set of columns."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from features.snapshot import DAY
from models.adjustment import covariates_of
from models.contact_kinds import ContactKind
from models.effects import Observed, TargetRows
from models.exposures import current_names, pieces_of, remembered_names, usual_column
from models.period_models import PeriodModels, PeriodRows, fit_models
from models.prepared import Prepared
from models.quality_ties import benchmarks_of, covariate_columns
from models.references import Reference
from models.row_columns import period_length
from models.yardsticks import Benchmark

__all__ = ["SharedFit", "SharedFits"]

MOST_KEPT = 2
"""Each holds its columns for all rows; more would fill the memory."""


@dataclass(frozen=True, slots=True)
class SharedFit:
    """Models on one set of columns, and these columns of the target rows.

    Attributes
    ----------
    names : tuple of str
        Columns.
    models : PeriodModels
        Fitted on `Prepared.fit`.
    unmoved : TargetRows
        `Prepared.target` with these columns, nothing shifted.
    observed : Observed
        What the models predict for it.
    """

    names: tuple[str, ...]
    models: PeriodModels
    unmoved: TargetRows
    observed: Observed


@dataclass(slots=True)
class SharedFits:
    """Fits of one study, the latest ones kept.

    Attributes
    ----------
    prepared : Prepared
        Rows.
    kept : OrderedDict of tuple of str to SharedFit
        By columns, the latest used last.
    """

    prepared: Prepared
    kept: OrderedDict[tuple[str, ...], SharedFit] = field(default_factory=OrderedDict)

    def of(self, kinds: Sequence[ContactKind], held: Sequence[Reference], left_out: Collection[str] = ()) -> SharedFit:
        """Return the fit on some contacts and exposures; folds are the same for all.

        Parameters
        ----------
        kinds : sequence of ContactKind
            Contacts counted in the models.
        held : sequence of Reference
            Exposures in the models.
        left_out : collection of str
            Covariates that a user wants out of the models.

        Returns
        -------
        SharedFit
        """
        names, penalised, before = _columns(self.prepared, kinds, held, left_out)
        if names not in self.kept:
            fit, periods = self.prepared.fit, self.prepared.fit.periods
            known = _benchmarks(self.prepared, names, kinds, held)
            rows = PeriodRows(
                fit.columns(names), penalised, before, periods.churned, periods.spend, periods.weight,
                periods.customer_key, fit.due, fit.scale, known,
            )  # fmt: skip
            # Small dense systems: more threads only fight with whatever else is running.
            with threadpool_limits(1):
                models = fit_models(rows, np.random.default_rng(self.prepared.seed))
                unmoved = _unmoved(self.prepared, names)
                self.kept[names] = SharedFit(names, models, unmoved, Observed.of(models, unmoved))
            if len(self.kept) > MOST_KEPT:
                self.kept.popitem(last=False)
        self.kept.move_to_end(names)
        return self.kept[names]


def _unmoved(prepared: Prepared, names: Sequence[str]) -> TargetRows:
    """Rows after each go-live as they were."""
    after, nothing = prepared.target, np.zeros(0, np.int64)
    return TargetRows(
        after.columns(names), np.zeros((len(after.periods), 0), np.float32), nothing, after.go_live,
        after.periods.index, after.periods.customer_key, after.periods.weight, after.due, after.scale,
        everyone=prepared.everyone, sampled=prepared.sampled,
    )  # fmt: skip


def _columns(
    prepared: Prepared, kinds: Sequence[ContactKind], held: Sequence[Reference], left_out: Collection[str]
) -> tuple[tuple[str, ...], NDArray[np.bool_], NDArray[np.bool_]]:
    """Name the columns of a model, which of them are penalised, and which are settled before the period."""
    known = [str(name) for name in prepared.fit.design if str(name).startswith(("baseline__", "time__"))]
    # A covariate that is left out takes the columns of its levels with it.
    owned = covariate_columns(known, covariates_of(prepared.study))
    gone = {name for covariate in left_out for name in owned.get(covariate, ())}
    free = [name for name in known if name not in gone]
    remembered = (*(kind.column for kind in kinds), *map(usual_column, held), *pieces_of(held))
    memories = [n for n in remembered_names(remembered) if prepared.fit.design[n].any()]
    now = current_names(held)
    penalised = np.arange(len(free) + len(memories) + len(now)) >= len(free)
    before = np.arange(len(penalised)) < len(free) + len(memories)
    return (*free, *memories, *now), penalised, before


def _benchmarks(
    prepared: Prepared, names: Sequence[str], kinds: Sequence[ContactKind], held: Sequence[Reference]
) -> tuple[Benchmark, ...]:
    """Make each covariate of the study a yardstick for hidden causes."""
    fit, days = prepared.fit, period_length(prepared.study) / DAY
    return benchmarks_of(
        names, covariates_of(prepared.study), held, prepared.ties, fit.design, fit.periods.weight, days, kinds
    )
