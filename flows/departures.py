"""When customers leave: survival after the cutoffs of a panel, by segment, observed and as the churn model has it."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from features.contract import PanelContract
from features.errors import EmptyResultError
from features.layout import open_layout
from features.measures import Feature
from features.snapshot import DAY
from flows import console
from flows.model_charts import survival_chart
from flows.storage import Workspace
from flows.theme import to_svg
from flows.tracking import Run
from models.churn import predict_churn
from models.experience import experience_groups
from models.segments import segment_labels, segmenting
from models.splits import cluster_column, cutoff_microseconds
from models.survival import PersonMonths, fitted_survival, mean_survival, observed_survival, person_months

__all__ = ["ALL", "follow", "followed", "log_survival", "months_followed", "survival", "survival_by"]

ALL: Final = "all"

_MOST_ROWS: Final = 60_000


def survival(workspace: Workspace, contract: PanelContract, panel: pd.DataFrame, model: Pipeline) -> pd.DataFrame:
    """Follow the panel's rows until their customers leave or the data end.

    Parameters
    ----------
    workspace : Workspace
        A study with event tables, laid out.
    contract : PanelContract
        Of the panel.
    panel : DataFrame
        Its rows, young ones included: they say who stayed so far.
    model : Pipeline
        The churn model.

    Returns
    -------
    DataFrame
        segment ("all" and "covariate = level"), month, at_risk, churned, hazard, survival, lo, hi, fitted. Every k-th
        customer is followed where there are more than 60,000 rows. Empty where nobody can be followed for a month.

    Raises
    ------
    EmptyResultError
        Hardly anybody leaves in the months followed.
    """
    rows, months = follow(workspace, contract, panel)
    if len(months.row) == 0:
        return pd.DataFrame()
    risk = predict_churn(model, rows, contract.features)
    weight = rows["weight"].to_numpy(np.float64)
    customer = rows[cluster_column(rows)].to_numpy()
    parts, chances = [], fitted_survival(months, risk, weight)
    for segment in _segments(rows, contract, weight):
        seen = observed_survival(months, segment, customer, weight)
        fitted = mean_survival(chances, segment, weight).rename(columns={"survival": "fitted"})
        parts.append(seen.merge(fitted, on=["segment", "month"], how="left"))
    return pd.concat(parts, ignore_index=True)


def follow(workspace: Workspace, contract: PanelContract, panel: pd.DataFrame) -> tuple[pd.DataFrame, PersonMonths]:
    """Follow the panel's rows month by month: the rows that can be followed, and their months.

    Every k-th customer is followed where there are more than 60,000 rows.
    """
    rows = followed(workspace, contract.data_end, _thinned(panel))
    return rows, months_followed(workspace, rows)


def survival_by(
    workspace: Workspace, contract: PanelContract, panel: pd.DataFrame, features: Sequence[Feature]
) -> dict[str, pd.DataFrame]:
    """Follow customers by what they went through before a cutoff.

    Parameters
    ----------
    workspace : Workspace
        A study with event tables, laid out.
    contract : PanelContract
        Of the panel.
    panel : DataFrame
        Its rows, young ones included.
    features : sequence of Feature
        Experiences, see :func:`models.experience.experience_features`.

    Returns
    -------
    dict of str to DataFrame
        By name of the feature: segment, month, at_risk, churned, hazard, survival, lo, hi of
        :func:`models.survival.observed_survival`, segments from the best to the worst experience, last those without
        one. Features with one group only are left out. It says what goes along with staying, not what makes stay.
    """
    rows, months = follow(workspace, contract, panel)
    weight, customer = rows["weight"].to_numpy(np.float64), rows[cluster_column(rows)].to_numpy()
    found = {}
    for feature in features:
        groups = experience_groups(rows[feature.name].to_numpy(np.float64), weight, feature.direction, feature.unit)
        names = list(groups.cat.categories)
        if len(names) > 1 and len(months.row):
            curves = observed_survival(months, groups.astype(object), customer, weight)
            order = curves["segment"].map(names.index)
            found[feature.name] = curves.assign(order=order).sort_values(["order", "month"], ignore_index=True)
    return {name: curves.drop(columns="order") for name, curves in found.items()}


def log_survival(run: Run, workspace: Workspace, contract: PanelContract, panel: pd.DataFrame, model: Pipeline) -> None:
    """Keep table and figure of :func:`survival` with a run; where hardly anybody leaves, say so."""
    try:
        found = survival(workspace, contract, panel, model)
    except EmptyResultError as error:
        console.say(f"note: how long customers stay is not told: {error.message}")
        return
    if len(found):
        run.log_table(found, "churn/survival.csv")
        run.log_text(to_svg(survival_chart(found)), "churn/survival.svg")


def _segments(rows: pd.DataFrame, contract: PanelContract, weight: NDArray[np.float64]) -> list[pd.Series]:
    fixed = [feature for feature in segmenting(contract.features) if feature.kind == "category"]
    labels = segment_labels(rows, fixed, weight)
    named = [labels[name].map(lambda level, name=name: f"{name} = {level}") for name in labels]
    return [pd.Series(ALL, index=rows.index), *named]


def _thinned(panel: pd.DataFrame) -> pd.DataFrame:
    codes = pd.factorize(panel["customer_id"], sort=True)[0]
    kept: pd.DataFrame = panel.loc[codes % -(-len(panel) // _MOST_ROWS) == 0]
    return kept


def followed(workspace: Workspace, data_end: int, panel: pd.DataFrame) -> pd.DataFrame:
    """Add when each row's customer left next (-1: did not) and up to when that would have been seen, microseconds."""
    departures, ends = _dates(workspace)
    at = cutoff_microseconds(panel)
    spine = pd.DataFrame({"row": np.arange(len(panel)), "customer_key": panel["customer_key"].to_numpy(), "at": at})
    spine = spine.sort_values("at", kind="stable")
    found = pd.merge_asof(
        spine, departures, on="at", by="customer_key", direction="forward", allow_exact_matches=False
    ).sort_values("row")
    left = found["left"].fillna(-1).to_numpy(np.int64)
    ended = spine.sort_values("row")["customer_key"].map(ends).fillna(data_end).to_numpy(np.int64)
    until = np.where(left >= 0, data_end, np.minimum(ended, data_end))  # many systems date a departure as an end, too
    rows = panel.assign(left=left, until=until)
    gap = workspace.study.snapshot.gap_days * DAY
    return rows.loc[(left < 0) | (left > at + gap)].reset_index(drop=True)


def months_followed(workspace: Workspace, rows: pd.DataFrame, months: int = 12) -> PersonMonths:
    """Lay out the months, from the end of the gap on, through which rows of :func:`followed` are seen."""
    start = cutoff_microseconds(rows) + workspace.study.snapshot.gap_days * DAY
    return person_months(start, rows["left"].to_numpy(np.int64), rows["until"].to_numpy(np.int64), months=months)


def _dates(workspace: Workspace) -> tuple[pd.DataFrame, pd.Series]:
    """Departures by time, and by customer when the relation ended."""
    departures, ends = [], []
    for bucket in open_layout(workspace.store.root).all_buckets():
        departures.append(bucket.churn.select(["customer_key", "churned_at"]).to_pandas())
        ends.append(bucket.customers.select(["customer_key", "ended_at"]).to_pandas().dropna())
    gone = pd.concat(departures, ignore_index=True).rename(columns={"churned_at": "at"})
    gone = gone.assign(left=gone["at"]).sort_values("at", kind="stable")
    return gone, pd.concat(ends, ignore_index=True).set_index("customer_key")["ended_at"]
