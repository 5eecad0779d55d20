"""The panel of a flat table: its waves take the place of cutoffs, and all outcomes are known.

Nothing says when the rows of such a table happened. A wave that is a year or a date gets that date; other waves get the
firsts of months from 2000 on, in their order. These dates order and name the partitions and mean nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from features.contract import PanelContract
from features.flat import FlatTable
from features.measures import features_hash, flat_features, typed
from features.panel_rows import panel_columns
from features.replicas import GROUP
from features.snapshot import midnight
from features.study import Study

__all__ = ["flat_contract", "flat_rows", "wave_dates"]

Floats: TypeAlias = NDArray[np.float64]


def flat_contract(study: Study, table: FlatTable) -> tuple[PanelContract, dict[int, str]]:
    """Say what the panel of a flat table holds.

    Returns
    -------
    contract : PanelContract
        Without partitions.
    waves : dict of int to str
        The wave of each cutoff.
    """
    waves = wave_dates(table.waves)
    covariates = study.flat.covariates if study.flat else ()
    categories = tuple(name for name in covariates if not pd.api.types.is_numeric_dtype(table.frame[name]))
    features = typed(flat_features(study), categories)
    contract = PanelContract(
        study=study.name,
        layout_fingerprint=table.fingerprint,
        feature_contract_hash=features_hash(features, 0),
        features=features,
        outcomes=("is_churned", "revenue", *(study.flat.outcomes if study.flat else ())),
        data_end=max(waves),
        partitions=(),
        categories=categories,
        notes=tuple(_notes(study, table)),
    )
    return contract, waves


def flat_rows(table: FlatTable, contract: PanelContract, cutoff: int, wave: str) -> pa.Table:
    """Make the panel rows of a wave, in the order of the table.

    ``customer_key`` numbers customers over all waves; ``replica_group`` comes last and is no feature. A row is mature
    where churn is known; without churn, where the first further outcome (or revenue) is.
    """
    ids = table.frame["customer_id"]
    keys = pd.Series(np.searchsorted(np.unique(ids.to_numpy(str)), ids.to_numpy(str)), index=ids.index)
    frame = table.frame.loc[(table.frame["wave"] == wave).to_numpy()]
    people = pa.table({"customer_id": pa.array(frame["customer_id"].to_numpy(str), pa.string())})
    people = people.append_column("customer_key", pa.array(keys.loc[frame.index].to_numpy(np.int64)))
    features = {
        feature.name: _column(frame[feature.measure or feature.name], is_text=feature.kind == "category")
        for feature in contract.features
    }
    outcomes = {name: frame[name].to_numpy(np.float64) for name in contract.outcomes}
    known = [name for name in (*contract.outcomes[2:], "revenue") if table.frame[name].notna().any()]
    deciding = "is_churned" if table.frame["is_churned"].notna().any() or not known else known[0]
    weight = frame["weight"].to_numpy(np.float64)
    rows = panel_columns(people, cutoff, features, outcomes, weight, deciding=deciding)
    return rows.append_column(GROUP, pa.array(frame[GROUP].to_numpy(str), pa.string()))


def wave_dates(waves: tuple[str, ...]) -> dict[int, str]:
    """Give each wave a date, in microseconds.

    Examples
    --------
    >>> from features.snapshot import iso
    >>> {iso(moment): wave for moment, wave in wave_dates(("2019", "2020")).items()}
    {'2019-01-01': '2019', '2020-01-01': '2020'}
    """
    found = {_dated(wave): wave for wave in waves}
    if None in found or len(found) < len(waves) or list(found) != sorted(found, key=lambda moment: moment or 0):
        found = {midnight(date(2000 + i // 12, i % 12 + 1, 1)): wave for i, wave in enumerate(waves or ("",))}
    return {moment: wave for moment, wave in found.items() if moment is not None}


def _notes(study: Study, table: FlatTable) -> Iterator[str]:
    for measure in study.measures:
        if measure.known == "after":
            yield f"{measure.name}: known only after the outcome, left out."
    yield from table.replication.notes()


def _dated(wave: str) -> int | None:
    text = f"{wave}-01-01" if len(wave) == 4 and wave.isdigit() else wave
    try:
        return midnight(date.fromisoformat(text))
    except ValueError:
        return None


def _column(values: pd.Series, *, is_text: bool) -> pa.ChunkedArray:
    kind = pa.string() if is_text else pa.float64()
    return pa.chunked_array([pa.array(values, kind, from_pandas=is_text)])
