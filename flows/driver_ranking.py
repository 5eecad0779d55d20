"""What goes along with each outcome: shares and tests of drivers from moments of the panel's files."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.contract import PanelContract
from features.measures import Feature
from features.panel_moments import panel_moments
from features.raw_moments import RawMoments
from flows import console
from flows.driver_shares import journey_shares
from flows.storage import Workspace
from models.answered_association import association_with_answers
from models.answers import LEAST_ANSWERED, rarely_answered, unanswered_cells
from models.drivers import Driver, driver_features, named_drivers, outcome_name
from models.importance import association_of
from models.leaks import leak_warnings
from models.ranked_drivers import Association
from models.splits import cluster_column

__all__ = ["Ranking", "rank_drivers"]

_COLUMNS: Final = (
    "outcome", "journey", "driver", "feature", "share", "share_lo", "share_hi", "tier", "in_top_3", "quality", "reach",
    "alone_r2", "last_r2", "p_value", "p_adjusted", "r2", "n", "warning",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ranking:
    """Drivers of all outcomes.

    Parameters
    ----------
    shares : DataFrame
        One row an outcome and driver: see :meth:`models.ranked_drivers.Association.to_frame`.
    by_size : DataFrame
        What each driver adds by number of others: see :meth:`models.ranked_drivers.Association.by_size_frame`.
    refusals : tuple of str
        Why an outcome could not be ranked.
    notes : tuple of str
        What else to know: of how many rows a sample was used.
    journeys : DataFrame
        Of the outcomes that are ranked, whole journeys: see :func:`flows.driver_shares.journey_shares`.
    raw : RawMoments or None
        Sums of products of all outcomes and drivers; None without drivers.
    drivers : tuple of Driver
        Who was ranked.
    """

    shares: pd.DataFrame
    by_size: pd.DataFrame
    refusals: tuple[str, ...]
    notes: tuple[str, ...]
    journeys: pd.DataFrame
    raw: RawMoments | None
    drivers: tuple[Driver, ...]


def rank_drivers(workspace: Workspace, contract: PanelContract, panel: pd.DataFrame, seed: int) -> Ranking:
    """Share out the explained variance of each outcome; say why where that would be noise.

    Parameters
    ----------
    workspace : Workspace
        The study and its store.
    contract : PanelContract
        Of the panel.
    panel : DataFrame
        Its rows, read for what moments do not say: ratings that were not answered, and leaks.
    seed : int
        Of everything random.

    Notes
    -----
    Moments of all outcomes come from one pass over the panel's files. An outcome is ranked from the rows in memory, or
    a sample of them, only where the study declares ``missing: not_answered`` and somebody did not answer.
    """
    customer = cluster_column(panel)
    chosen = driver_features(contract.features, (feature.name for feature in contract.features))
    if not chosen:
        nothing = pd.DataFrame(columns=list(_COLUMNS))
        reason = "any outcome: no feature belongs to a journey and a measure."
        return Ranking(nothing, pd.DataFrame(), (reason,), (), pd.DataFrame(), None, ())
    names = [feature.name for feature in chosen]
    engine = workspace.study.engine
    raw = panel_moments(workspace.store.root, contract, names, customer=customer, engine=engine)
    drivers = named_drivers(chosen, raw.look.flagged)
    frame = panel.loc[panel["is_mature"]]
    cells = unanswered_cells(frame, chosen)
    rare = rarely_answered(frame, chosen, cells)
    cells[:, rare] = False
    outcomes = [name for name in contract.outcomes if raw.look.n_rows[name]]
    found, notes = [], [_rare_note(feature) for feature, is_rare in zip(chosen, rare, strict=True) if is_rare]
    with console.progress("explain") as tick:
        for number, column in enumerate(outcomes):
            tick(f"association with {outcome_name(column)}", number, len(outcomes))
            rng = np.random.default_rng([seed, 10 + contract.outcomes.index(column)])
            if cells.any():
                found.append(_given_answers(frame, drivers, cells, column, rng))
                notes += _sample_notes(found[-1], raw.look.n_rows[column])
            else:
                found.append(association_of(raw, drivers, column, rng=rng))
    shares = _with_leaks(pd.concat([one.to_frame() for one in found], ignore_index=True), contract, panel)
    by_size = pd.concat([one.by_size_frame() for one in found], ignore_index=True)
    refusals = tuple(f"{one.outcome}: {one.refusal}" for one in found if one.refusal)
    ranked = [column for column, one in zip(outcomes, found, strict=True) if not one.refusal]
    journeys = journey_shares(raw, drivers, ranked, seed)
    return Ranking(shares, by_size, refusals, tuple(notes), journeys, raw, drivers)


def _given_answers(
    frame: pd.DataFrame, drivers: Sequence[Driver], cells: NDArray[np.bool_], column: str, rng: np.random.Generator
) -> Association:
    customer = cluster_column(frame)
    return association_with_answers(frame, drivers, cells, column, weight="weight", rng=rng, customer=customer)


def _rare_note(feature: Feature) -> str:
    return (
        f"{feature.name}: fewer than {LEAST_ANSWERED:.0%} of those who could have answered did. What the others would "
        "have said is not estimated; that they did not answer counts like 'did not apply'."
    )


def _sample_notes(found: Association, n_rows: int) -> list[str]:
    """Say of how many rows a sample was used."""
    if found.n_rows == n_rows:
        return []
    used = f"{found.n_rows:,} of {n_rows:,} rows, whole customers chosen by a hash"
    return [f"association with {found.outcome}: unanswered ratings are estimated from {used}."]


def _with_leaks(shares: pd.DataFrame, contract: PanelContract, panel: pd.DataFrame) -> pd.DataFrame:
    """Warn of drivers that know too much, beside what the ranking itself warns of."""
    suspects = {leak.feature: leak.reason for leak in leak_warnings(panel, contract.features)}
    told = zip(shares["feature"], shares["warning"], strict=True)
    return shares.assign(warning=[" ".join(filter(None, (suspects.get(name), own))) for name, own in told])
