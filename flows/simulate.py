"""What initiatives would do, what they cost and what they are worth."""

import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from features.contract import PanelContract
from features.errors import StoreError
from features.layout import Layout
from flows import console
from flows.artefacts import leave
from flows.build_features import ensure_layout, ensure_panel
from flows.draws_store import Stored, draws_bytes, read_draws
from flows.flat_effects import simulate_flat
from flows.hidden_causes import control_sentence, placebo_sentence
from flows.histories import prepare_histories
from flows.plans import HALF, Plans, made_from, read_plans, same_estimates
from flows.retention import retention_of
from flows.simulation_record import Simulated, record
from flows.simulation_shown import show
from flows.steps import flow, step
from flows.storage import Workspace, open_workspace, write_bytes, write_json
from models.cash import Cohort
from models.combinations import combine
from models.forecasts import Forecast, Overlap, Refusal, Samples, ruled, sample
from models.initiatives import Initiative, refusal
from models.negative_control import NegativeControl, failure, negative_controls, to_frame
from models.overlaps import estimate_overlaps, pairs_on_a_path
from models.policy import PolicyEffect, policy_effect
from models.removal import removal_refusal
from models.response_surface import ResponseSurface
from models.retention import Retention
from models.shared_fits import SharedFits
from models.simulation import compare

__all__ = ["simulate"]


@flow(name="simulate")
def simulate(study_file: str, *, initiatives: str | None = None, seed: int = 0) -> None:
    """Compare the initiatives of a file.

    Parameters
    ----------
    study_file : str
        The study.
    initiatives : str, optional
        The file; ``initiatives.yaml`` beside the study when left out.
    seed : int
        Seed of everything random.

    Raises
    ------
    StudyError
        The file is missing or wrong; every fault is listed.
    """
    started = time.perf_counter()
    workspace = open_workspace(study_file)
    plans = read_plans(workspace, initiatives)
    if workspace.study.is_flat:
        simulate_flat(workspace, plans.initiatives, plans.text, seed)
        return
    contract = ensure_panel(workspace)
    layout = ensure_layout(workspace)
    assert isinstance(layout, Layout)  # noqa: S101 (flat studies went their own way above)
    known = estimated(workspace, layout, contract, plans, seed)
    samples, cohort, money, retention = (
        known.surface.samples, known.surface.cohort, known.surface.money, known.surface.retention,
    )  # fmt: skip
    comparison = compare(samples, known.refusals, cohort, money, retention, [one.name for one in plans.initiatives])
    pairs = combine(samples, cohort, money, retention)
    found = comparison.to_frame()
    draws, simulated = draws_bytes(known), Simulated(comparison, pairs, retention, known.controls)
    content = record(workspace, layout, contract, plans, simulated, seed, draws)
    # Both files last: where recording fails, portfolio and report still go by the simulation before.
    write_bytes(workspace.store.draws, draws)
    write_json(workspace.store.result("simulate"), content)
    leave(workspace, "simulate")
    counted = {"horizon_days": cohort.horizon_days, "months": money.months, "customers": cohort.customers}
    show(found, pairs.to_frame(), workspace.study.currency, **counted)
    _tell(found, retention)
    _say_checks(found, known.controls, workspace.study.currency)
    rows_in = f"{len(plans.initiatives)} initiatives for {contract.partitions[-1].rows:,} customers"
    seconds, where = time.perf_counter() - started, str(workspace.store.result("simulate"))
    console.say(console.Closing("simulate", rows_in, f"{len(found)} verdicts", seconds, where).line())


def _tell(found: pd.DataFrame, retention: Retention) -> None:
    """Say what is assumed, and why an initiative is refused."""
    for row in found.loc[found["verdict"].eq("refused")].to_dict("records"):
        console.say(f"refused: {row['name']}. {row['reason']}")
    console.say(f"retention: {retention.describe()}")


def _say_checks(comparison: pd.DataFrame, controls: pd.DataFrame, currency: str) -> None:
    """Say which placebos fail, and what the negative controls do."""
    for _, row in comparison[comparison["placebo"] == "fails"].iterrows():
        console.say(f"note: {placebo_sentence(row, currency)}")
    for _, row in controls.iterrows():
        console.say(f"note: {control_sentence(row, currency)}")


def estimated(workspace: Workspace, layout: Layout, contract: PanelContract, plans: Plans, seed: int) -> Stored:
    """Take the effects of the last simulation where nothing that moves them has changed; else estimate them.

    Returns
    -------
    Stored
        With the initiatives as they are written now. Draws depend on names and seed alone, so money counted from them
        is the same to the last digit as after estimating again.
    """
    wanted = made_from(workspace.study, contract, plans, seed)
    last = _last(workspace.store.draws)
    if last is not None and same_estimates(last.made_from, wanted):
        console.say(
            "simulate: nothing that moves the effects has changed since the last time, so only money is counted"
        )
        return last.rewritten(plans.initiatives, wanted)
    controls = check_controls(workspace, layout, seed)
    samples, refused = estimate(workspace, layout, plans.initiatives, seed, failure(controls))
    cohort = Cohort(contract.partitions[-1].rows, workspace.study.snapshot.horizon_days)
    surface = ResponseSurface(samples, cohort, workspace.study.money, learn_retention(workspace, contract))
    return Stored(surface, refused, wanted, to_frame(controls))


def _last(path: Path) -> Stored | None:
    """Read the draws of the last simulation; what cannot be read is written anew."""
    with suppress(StoreError):
        return read_draws(path)
    return None


@step("check the negative controls")
def check_controls(workspace: Workspace, layout: Layout, seed: int) -> tuple[NegativeControl, ...]:
    """Move what the study says cannot matter."""
    if not any(measure.negative_control for measure in workspace.study.measures):
        return ()
    return negative_controls(prepare_histories(str(workspace.study_file), layout, seed))


@step("learn how long customers stay")
def learn_retention(workspace: Workspace, contract: PanelContract) -> Retention:
    """Follow the customers at risk at past cutoffs."""
    with console.progress("simulate") as tick:
        tick("following customers who were at risk at past cutoffs")
        return retention_of(workspace, contract)


@step("estimate the initiatives")
def estimate(
    workspace: Workspace, layout: Layout, planned: Sequence[Initiative], seed: int, failed_control: str
) -> tuple[Samples, tuple[Refusal, ...]]:
    """Estimate and judge every initiative that can be carried out, and draw what is not known of it."""
    study = workspace.study
    fits = prepare_histories(str(workspace.study_file), layout, seed)
    observed = fits.prepared.exposures
    whys = [refusal(one, study, observed) or removal_refusal(one, layout.all_buckets) for one in planned]
    refused = tuple(Refusal(one, why) for one, why in zip(planned, whys, strict=True) if why)
    names = {one.initiative.name for one in refused}
    forecasts = _forecasts(fits, [one for one in planned if one.name not in names])
    overlaps = _overlaps(fits, [one.initiative for one in forecasts])
    judged = ruled(forecasts, np.random.default_rng([seed, 14]), failed_control)
    return sample(judged, overlaps, np.random.default_rng([seed, 13])), refused


def _forecasts(fits: SharedFits, planned: Sequence[Initiative]) -> list[Forecast]:
    forecasts = []
    with console.progress("simulate") as tick:
        for number, one in enumerate(planned):
            tick(one.label, number, len(planned))
            forecasts.append(_forecast(one, policy_effect(fits, one, sizes=(HALF,))))
    return forecasts


def _forecast(initiative: Initiative, policy: PolicyEffect) -> Forecast:
    (half,) = policy.resized
    shares = (policy.support_share, policy.reached_share, policy.contacts_per_month)
    return Forecast(initiative, policy.effect, *shares, half, policy.placebo)


def _overlaps(fits: SharedFits, planned: Sequence[Initiative]) -> tuple[Overlap, ...]:
    pairs = pairs_on_a_path(fits.prepared.study, planned)
    with console.progress("simulate") as tick:
        return estimate_overlaps(fits, planned, pairs, partial(tick, f"what {len(pairs)} pairs do together"))
