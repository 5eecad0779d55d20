"""The health of one batch of scores: how fresh, how many, how alike what the model has learned from."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from features.contract import PanelContract
from features.layout import Layout
from features.monitoring_rules import Monitoring
from features.panel import read_panel
from features.snapshot import DAY, iso
from flows.freshness import ages, told
from flows.monitor_reference import (
    SCORE,
    Reference,
    reference_cutoffs,
    reference_of,
    steps_per_window,
)
from flows.monitor_sources import look_at_sources
from flows.storage import Workspace
from flows.tracking import Champion
from models.alarms import Check, Level, Reason, Verdict, verdict_of
from models.arrivals import stray
from models.batch_rules import COLLAPSE, LEAST_FACTOR, drift_reasons, moved
from models.counted import counted
from models.drift import Design, Drift, drift, joined
from models.reason_words import in_words

__all__ = ["Asked", "Batch", "look_at_batch"]

_FEATURES: Final = 0.5  # scores among them: they are steadied by what is known of features
_SOURCES: Final = 0.4
_VOLUME: Final = 0.1
"""How the chance of a false alarm is shared out."""

_FEWER: Final = 0.1
"""Part of the different scores that were expected below which scores count as constant."""

_TELLING: Final = 10.0
"""A PSI that hardly anything reaches: a limit above it limits nothing."""

_YEAR_DAYS: Final = 365


@dataclass(frozen=True, slots=True)
class Batch:
    """What was found about the scores of a cutoff, before outcomes are known.

    Attributes
    ----------
    cutoff : int
        Microseconds.
    version : str
        Of the churn model that scored it.
    reasons : tuple of Reason
        The gravest first.
    checks : tuple of Check
        All that was looked at.
    drift, arrivals : DataFrame
        Features, by PSI; what arrived, by p. Both with what was expected.
    notes : tuple of str
        What the limits rest on.
    """

    cutoff: int
    version: str
    reasons: tuple[Reason, ...]
    checks: tuple[Check, ...]
    drift: pd.DataFrame
    arrivals: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """The gravest of the reasons."""
        return verdict_of(self.reasons)


@dataclass(frozen=True, slots=True)
class Asked:
    """All that is known of a batch that is looked at."""

    workspace: Workspace
    contract: PanelContract
    layout: Layout
    scores: pd.DataFrame
    at: int
    now: int

    @property
    def rules(self) -> Monitoring:
        """What the study says."""
        return self.workspace.study.monitoring


Found = tuple[list[Reason], list[Check]]


def look_at_batch(asked: Asked, model: Champion | None, tick: Callable[[str], None]) -> Batch:
    """Look at a batch.

    Parameters
    ----------
    asked : Asked
        The batch.
    model : Champion or None
        The version that scored it; None if it is no longer registered.
    tick : callable
        Told what is done.

    Returns
    -------
    Batch
        Without a model, or with too short a past, what needs them is not judged, and the notes say so.
    """
    parts: list[Found] = [_freshness(asked), _schema(asked, model)]
    version = str(asked.scores["churn_model_version"].iloc[0])
    cutoffs = reference_cutoffs(asked.contract, asked.at, model.tags if model else {})
    can_compare = bool(cutoffs) and model is not None and model.contract == asked.contract.feature_contract_hash
    if not can_compare or model is None:
        note = "Features were not compared: the model that scored this batch is not registered for these features, or "
        note += "no cutoff that it has learned from lies before the batch."
        return _finished(asked, version, parts, pd.DataFrame(), pd.DataFrame(), (note,))
    reference = reference_of(asked.workspace, asked.contract, cutoffs, model, tick)
    rows = read_panel(asked.workspace.store.root, (asked.at,))
    every = asked.contract.cutoffs
    lag = every.index(asked.at) - every.index(cutoffs[-1])
    window = steps_per_window(asked.workspace.study, every)
    alpha = asked.rules.false_alarms
    parts.append(_unscored(asked, rows))
    parts.append(_volume(reference, len(rows), lag, _VOLUME * alpha))
    columns, scores = counted(rows, list(reference.profiler.bins)), counted(asked.scores, [SCORE])
    profile = joined(reference.profiler.profile(columns), reference.score_profiler.profile(scores))
    found = drift(reference.profiles, profile, Design(lag, window, _FEATURES * alpha))
    strayed = moved(found, asked.rules.psi)
    words = {one.name: in_words(one) for one in asked.contract.features} | {SCORE: "churn risk (the score)"}
    parts += [_features(asked, found, strayed, words), _scores(asked, reference, found, strayed)]
    sources = look_at_sources(asked.workspace.study, asked.layout, cutoffs[-1], asked.at, _SOURCES * alpha)
    parts.append((list(sources.reasons), [sources.check]))
    table = found.table.assign(judged=found.is_judged, words=found.table["feature"].map(words))
    table = table.merge(strayed[["feature", "aspect"]], on="feature", how="left")
    return _finished(asked, version, parts, table, sources.table, (*_notes(asked, reference, found), *sources.notes))


def _finished(
    asked: Asked,
    version: str,
    parts: Sequence[Found],
    table: pd.DataFrame,
    sources: pd.DataFrame,
    notes: tuple[str, ...],
) -> Batch:
    reasons = sorted((reason for part in parts for reason in part[0]), key=lambda one: one.verdict != "act")
    checks = tuple(check for part in parts for check in part[1])
    return Batch(asked.at, version, tuple(reasons), checks, table, sources, notes)


def _freshness(asked: Asked) -> Found:
    """How old the newest row of each table is now, by the ages that scoring goes by too (``scoring.freshness``)."""
    found = ages(asked.workspace.study, asked.workspace.store.root, asked.now)
    stale = [one for one in found if one.is_stale]
    limits = ", ".join(f"{one.table} at most {one.limit}" for one in found if one.limit)
    expected = limits or "no limit in the study (scoring.freshness)"
    check = Check("freshness", told(found), expected, "act" if stale else "ok")
    reasons = [
        Reason(
            "freshness",
            "act",
            f"The newest row of {one.table} is of {iso(one.newest)}, {one.text}; at most {one.limit} were expected "
            "(scoring.freshness). Bring newer data, then score again.",
        )
        for one in stale
    ]
    return reasons, [check]


def _schema(asked: Asked, model: Champion | None) -> Found:
    wanted = asked.contract.feature_contract_hash
    found = set(asked.scores["feature_contract_hash"].astype(str))
    fits = found == {wanted} and (model is None or model.contract == wanted)
    shown = ", ".join(sorted(one[:12] for one in found))
    check = Check("schema", f"features {shown}", f"features {wanted[:12]}", "ok" if fits else "act")
    if fits:
        return [], [check]
    text = (
        f"The batch was scored on features {shown}, the panel now holds features {wanted[:12]}. Equal ones were "
        "expected. Train again, then score again: journeylift train"
    )
    return [Reason("schema", "act", text)], [check]


def _unscored(asked: Asked, rows: pd.DataFrame) -> Found:
    """Count customers at risk without a score, and the other way round: their rows came late."""
    panel, scored = set(rows["customer_id"].astype(str)), set(asked.scores["customer_id"].astype(str))
    absent, extra = len(panel - scored), len(scored - panel)
    verdict: Verdict = "watch" if absent + extra else "ok"
    check = Check("scored customers", f"{len(scored):,}", f"{len(panel):,} at risk in the panel", verdict)
    if not absent + extra:
        return [], [check]
    text = (
        f"{absent:,} of {len(panel):,} customers at risk have no score, and {extra:,} scored ones are not in the panel "
        f"any more: rows came after the scoring. Score again: journeylift score --cutoff {iso(asked.at)}"
    )
    return [Reason("unscored", "watch", text)], [check]


def _volume(reference: Reference, n: int, lag: int, alpha: float) -> Found:
    logs = np.log(np.array([[*reference.rows, n]], np.float64))
    # Customers stay: the number at one cutoff is that of the last one, a little changed, and no mean over a window.
    found = stray(logs, lag, alpha)
    if found is None:
        return [], [Check("volume", f"{n:,} customers at risk", "too few cutoffs to say", "ok")]
    lo, centre, hi = (float(np.exp(found[name][0])) for name in ("lo", "centre", "hi"))
    expected = f"{lo:,.0f} to {hi:,.0f}"
    apart = abs(math.log(n / centre))
    if found["p"][0] >= alpha or apart < math.log(LEAST_FACTOR):
        return [], [Check("volume", f"{n:,} customers at risk", expected, "ok")]
    verdict: Level = "act" if n < COLLAPSE * centre else "watch"
    text = (
        f"{n:,} customers are at risk, expected {expected}. Make sure that the customers table is whole and holds "
        "everybody once, then score again."
    )
    return [Reason("volume", verdict, text)], [Check("volume", f"{n:,} customers at risk", expected, verdict)]


def _features(asked: Asked, found: Drift, strayed: pd.DataFrame, words: Mapping[str, str]) -> Found:
    rows = strayed.loc[strayed["feature"].ne(SCORE)]
    reasons = list(drift_reasons(rows, asked.contract.features))
    table = found.table.loc[found.table["feature"].ne(SCORE)]
    largest = table.iloc[0] if len(table) else None
    value = f"{len(rows)} of {len(table)} moved"
    if largest is not None:
        value += f"; largest PSI {largest['psi']:.2f} ({words[largest['feature']]})"
    expected = f"none, in {1 - found.alpha:.0%} of undisturbed batches" if found.is_judged else "too few cutoffs to say"
    return reasons, [Check("features", value, expected, verdict_of(reasons))]


def _scores(asked: Asked, reference: Reference, found: Drift, strayed: pd.DataFrame) -> Found:
    scores = asked.scores[[SCORE]]
    row = found.table.loc[found.table["feature"].eq(SCORE)].iloc[0]
    n, distinct = len(scores), int(scores[SCORE].nunique())
    usual = float(np.median([of / max(rows, 1) for of, rows in zip(reference.distinct, reference.scored, strict=True)]))
    value = f"mean risk {row['mean']:.1%} (training {row['reference_mean']:.1%}), PSI {row['psi']:.2f}"
    expected = f"PSI below {row['psi_limit']:.2f}" if row["psi_limit"] < _TELLING else "too few cutoffs to say"
    expected_distinct = usual * min(n, max(reference.scored))
    is_constant = distinct <= 1 or distinct < _FEWER * expected_distinct
    reasons: list[Reason] = []
    if is_constant:
        reasons.append(
            Reason(
                "constant score",
                "act",
                f"{distinct:,} different scores for {n:,} customers; about {expected_distinct:,.0f} were expected. The "
                "features that the model uses are probably empty or constant: journeylift check, then score again.",
            )
        )
    if strayed["feature"].eq(SCORE).any():
        reasons.append(
            Reason(
                "score drift",
                "watch",
                f"Scores are spread otherwise than in training: {value}, {expected}. Features that moved say why; "
                "watch whether outcomes still come true as promised.",
            )
        )
    checks = [
        Check("different scores", f"{distinct:,}", f"about {expected_distinct:,.0f}", "act" if is_constant else "ok"),
        Check("scores", value, expected, verdict_of(one for one in reasons if one.kind == "score drift")),
    ]
    return reasons, checks


def _notes(asked: Asked, reference: Reference, found: Drift) -> Iterator[str]:
    first, last = iso(reference.cutoffs[0]), iso(reference.cutoffs[-1])
    yield (
        f"Compared with the last {found.back} of {len(reference.cutoffs)} cutoffs from {first} to {last} that the "
        "model has learned from, and with how these differed from as many before them."
    )
    if not found.is_judged:
        yield "Too few cutoffs to say how much batches differ anyway: features and scores are shown, not judged."
        return
    rate = asked.rules.false_alarms
    yield (
        f"Limits are such that at most {rate:.0%} of undisturbed batches raise any alarm about features, scores, what "
        f"arrived or the number of customers, from {found.compared} earlier distances that overlap and are worth "
        f"{found.worth:.1f} independent ones: the fewer, the wider."
    )
    if (reference.cutoffs[-1] - reference.cutoffs[0]) / DAY < _YEAR_DAYS - 31:
        yield "Less than a year of reference: a season that the model has not seen looks like drift."
