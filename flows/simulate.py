"""What initiatives would do, what they cost and what they are worth."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
import pandas as pd

from features.contract import PanelContract
from features.layout import Layout
from flows import console
from flows.build_features import ensure_layout, ensure_panel
from flows.draws_store import Stored, draws_bytes
from flows.flat_effects import simulate_flat
from flows.hidden_causes import control_sentence, placebo_sentence, undone_by
from flows.histories import prepare_histories
from flows.plans import made_from, read_plans
from flows.retention import retention_of
from flows.simulation_record import Simulated, record
from flows.steps import flow, step
from flows.storage import Workspace, open_workspace, write_bytes, write_json
from flows.wording import chance, dash, money_short, plain, points
from models.cash import Cohort
from models.combinations import Combinations, combine
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

_HALF: Final = 0.5
"""Share of the change of which the effect is stored as well, for other sizes."""

_SHOWN_PAIRS: Final = 5


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
    controls = check_controls(workspace, layout, seed)
    samples, refused = estimate(workspace, layout, plans.initiatives, seed, failure(controls))
    retention = learn_retention(workspace, contract)
    cohort = Cohort(contract.partitions[-1].rows, workspace.study.snapshot.horizon_days)
    order = [one.name for one in plans.initiatives]
    money = workspace.study.money
    comparison = compare(samples, refused, cohort, money, retention, order)
    pairs = combine(samples, cohort, money, retention)
    found = comparison.to_frame()
    surface = ResponseSurface(samples, cohort, money, retention)
    draws = draws_bytes(Stored(surface, refused, made_from(workspace.study, contract, plans, seed)))
    simulated = Simulated(comparison, pairs, retention, to_frame(controls))
    content = record(workspace, layout, contract, plans, simulated, seed, draws)
    # Both files last: where recording fails, portfolio and report still go by the simulation before.
    write_bytes(workspace.store.draws, draws)
    write_json(workspace.store.result("simulate"), content)
    console.show_table(_title(workspace, contract), _shown(found, workspace.study.currency))
    _show_pairs(pairs, workspace.study.currency)
    _tell(found, retention)
    _say_checks(found, to_frame(controls), workspace.study.currency)
    rows_in = f"{len(plans.initiatives)} initiatives for {contract.partitions[-1].rows:,} customers"
    seconds, where = time.perf_counter() - started, str(workspace.store.result("simulate"))
    console.say(console.Closing("simulate", rows_in, f"{len(found)} verdicts", seconds, where).line())


def _show_pairs(pairs: Combinations, currency: str) -> None:
    """Show the pairs that differ most from the sum of both."""
    rows = pairs.to_frame().head(_SHOWN_PAIRS)
    if rows.empty:
        return
    money = partial(money_short, currency=currency)
    table = {
        "together": [f"{one} + {other}" for one, other in zip(rows["first"], rows["second"], strict=True)],
        "churn counted twice, points (90 %)": console.intervals(
            -rows[["churn_overlap", "churn_overlap_hi", "churn_overlap_lo"]],
            ("churn_overlap", "churn_overlap_hi", "churn_overlap_lo"),
            points,
        ),
        "sum of both alone": [money(value) for value in rows["npv_sum"]],
        "together (90 %)": console.intervals(rows, ("npv_together", "npv_together_lo", "npv_together_hi"), money),
        "difference (90 %)": console.intervals(rows, ("difference", "difference_lo", "difference_hi"), money),
    }
    console.show_table("Pairs whose value differs most from the sum of both", pd.DataFrame(table))


def _tell(found: pd.DataFrame, retention: Retention) -> None:
    """Say what is assumed, and why an initiative is refused."""
    for row in found.loc[found["verdict"].eq("refused")].to_dict("records"):
        console.say(f"refused: {row['name']}. {row['reason']}")
    console.say("worst: mean of the worst tenth of the draws.")
    console.say(f"retention: {retention.describe()}")
    if retention.is_estimated:
        console.say("at a constant rate: net present value if customers left as in the horizon in every month.")


def _say_checks(comparison: pd.DataFrame, controls: pd.DataFrame, currency: str) -> None:
    """Say which placebos fail, and what the negative controls do."""
    for _, row in comparison[comparison["placebo"] == "fails"].iterrows():
        console.say(f"note: {placebo_sentence(row, currency)}")
    for _, row in controls.iterrows():
        console.say(f"note: {control_sentence(row, currency)}")


@step("check the negative controls")
def check_controls(workspace: Workspace, layout: Layout, seed: int) -> tuple[NegativeControl, ...]:
    """Move what the study says cannot matter."""
    if not any(measure.negative_control for measure in workspace.study.measures):
        return ()
    return negative_controls(prepare_histories(str(workspace.study_file), layout, seed), layout.all_buckets)


@step("learn how long customers stay")
def learn_retention(workspace: Workspace, contract: PanelContract) -> Retention:
    """Follow the customers at risk at past cutoffs."""
    with console.progress("simulate") as tick:
        tick("following customers who were at risk at past cutoffs")
        return retention_of(workspace, contract)


def _title(workspace: Workspace, contract: PanelContract) -> str:
    study = workspace.study
    return (
        f"Initiatives: effects within {study.snapshot.horizon_days} days per customer at risk; money of "
        f"{contract.partitions[-1].rows:,} customers over {study.money.months} months in {study.currency}"
    )


def _shown(comparison: pd.DataFrame, currency: str) -> pd.DataFrame:
    """Put the comparison into words and units."""
    money = partial(money_short, currency=currency)
    table = {
        "initiative": comparison["name"],
        "churn, points (90 %)": console.intervals(comparison, ("churn_effect", "churn_lo", "churn_hi"), points),
        f"revenue, {currency} (90 %)": console.intervals(
            comparison, ("revenue_effect", "revenue_lo", "revenue_hi"), plain
        ),
        "cost": [money(value) for value in comparison["cost"].astype(float)],
        "net present value (90 %)": console.intervals(comparison, ("npv", "npv_lo", "npv_hi"), money),
        "worst": [money(value) for value in comparison["npv_worst"].astype(float)],
        "at a constant rate": console.intervals(
            comparison, ("npv_constant", "npv_constant_lo", "npv_constant_hi"), money
        ),
        "P(NPV > 0)": [chance(value) for value in comparison["p_npv_positive"].astype(float)],
        "effect": [one if isinstance(one, str) else dash for one in comparison["effect_verdict"]],
        "undone by": [undone_by(row) for _, row in comparison.iterrows()],
        "verdict": comparison["verdict"],
    }
    return pd.DataFrame(table)


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
    forecasts = _forecasts(fits, layout, [one for one in planned if one.name not in names])
    overlaps = _overlaps(fits, layout, [one.initiative for one in forecasts])
    judged = ruled(forecasts, np.random.default_rng([seed, 14]), failed_control)
    return sample(judged, overlaps, np.random.default_rng([seed, 13])), refused


def _forecasts(fits: SharedFits, layout: Layout, planned: Sequence[Initiative]) -> list[Forecast]:
    forecasts = []
    with console.progress("simulate") as tick:
        for number, one in enumerate(planned):
            tick(one.label, number, len(planned))
            forecasts.append(_forecast(one, policy_effect(fits, one, layout.all_buckets, sizes=(_HALF,))))
    return forecasts


def _forecast(initiative: Initiative, policy: PolicyEffect) -> Forecast:
    (half,) = policy.resized
    shares = (policy.support_share, policy.reached_share, policy.contacts_per_month)
    return Forecast(initiative, policy.effect, *shares, half, policy.placebo)


def _overlaps(fits: SharedFits, layout: Layout, planned: Sequence[Initiative]) -> tuple[Overlap, ...]:
    pairs = pairs_on_a_path(fits.prepared.study, planned)
    with console.progress("simulate") as tick:
        return estimate_overlaps(
            fits, planned, pairs, layout.all_buckets, partial(tick, f"what {len(pairs)} pairs do together")
        )
