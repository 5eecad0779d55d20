"""Which initiatives to fund together, in which order to start them, and which to try first."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from math import inf, isfinite
from typing import Any

import numpy as np
import pandas as pd

from features.contract import PanelContract
from flows import console
from flows.artefacts import leave
from flows.build_features import ensure_panel
from flows.draws_store import Stored, read_draws
from flows.identity import identity
from flows.plannable import refuse_flat
from flows.plans import Plans, made_from, overridden, read_plans
from flows.portfolio_charts import frontier_chart, stability_chart
from flows.simulate import simulate
from flows.steps import flow, io_step, step
from flows.storage import Workspace, open_workspace, records, write_json
from flows.theme import to_svg
from flows.tracking import open_tracker
from flows.wording import chance, money, money_short, percent, percent_up, span
from models.combinations import combine
from models.funding import Funding
from models.funding_plan import FundingPlan, plan_funding
from models.simulation import worth_of

__all__ = ["portfolio"]


@flow(name="portfolio")
def portfolio(
    study_file: str,
    *,
    initiatives: str | None = None,
    budget: float | None = None,
    cash: float | None = None,
    aversion: float | None = None,
    seed: int | None = None,
) -> None:
    """Choose among the initiatives of a file.

    Parameters
    ----------
    study_file : str
        The study.
    initiatives : str, optional
        The file; ``initiatives.yaml`` beside the study when left out.
    budget, cash, aversion : float, optional
        In place of those in the section ``portfolio`` of the file.
    seed : int, optional
        Of the simulation; when left out, that of the last one, or 0.

    Raises
    ------
    StudyError
        The file is wrong, or its limits let nothing be funded.
    UnsupportedError
        The study is a flat table: there are no months to count money over.
    """
    started = time.perf_counter()
    workspace = open_workspace(study_file)
    refuse_flat(workspace)
    plans = read_plans(workspace, initiatives)
    funding = overridden(plans.funding, {"budget": budget, "cash": cash, "aversion": aversion})
    contract = ensure_panel(workspace)
    stored = _simulated(workspace, contract, plans, initiatives, seed)
    plan = choose(stored, plans, funding)
    write_json(workspace.store.result("portfolio"), record(workspace, contract, plans, funding, plan, stored))
    leave(workspace, "portfolio")
    _show(plan, plans, funding, workspace.study.currency)
    rows_in = console.count(len(plans.initiatives), "initiative")
    seconds, where = time.perf_counter() - started, str(workspace.store.result("portfolio"))
    console.say(console.Closing("portfolio", rows_in, f"{len(plan.portfolio.members)} funded", seconds, where).line())


def _simulated(
    workspace: Workspace, contract: PanelContract, plans: Plans, initiatives: str | None, seed: int | None
) -> Stored:
    """Take the last simulation if it is of these initiatives, this study and these data; else simulate."""
    stored = read_draws(workspace.store.draws)
    last = 0 if stored is None else int(stored.made_from["seed"])
    wanted = made_from(workspace.study, contract, plans, last if seed is None else seed)
    if stored is not None and stored.made_from == wanted:
        return stored
    console.say("portfolio: the initiatives have not been simulated as they are now, so that is done first")
    simulate(str(workspace.study_file), initiatives=initiatives, seed=int(wanted["seed"]))
    fresh = read_draws(workspace.store.draws)
    assert fresh is not None  # noqa: S101 (it was just written)
    return fresh


@step("choose what to fund")
def choose(stored: Stored, plans: Plans, funding: Funding) -> FundingPlan:
    """Count the money of all initiatives and pairs from the stored draws, and choose."""
    surface = stored.surface
    rules = {one.name: one for one in plans.initiatives}
    with console.progress("portfolio") as tick:
        tick("counting the money of initiatives and pairs")
        known = (surface.cohort, surface.money, surface.retention)
        worths = [worth_of(one.with_initiative(rules[one.name]), *known) for one in surface.samples.initiatives]
        pairs = combine(surface.samples, *known)
        rng = np.random.default_rng([surface.samples.seed % 2**32, 14])
        return plan_funding(
            worths, stored.refusals, pairs, funding, surface.cohort, surface.money, rng,
            lambda what: tick(f"choosing: {what}"),
        )  # fmt: skip


def _show(plan: FundingPlan, plans: Plans, funding: Funding, currency: str) -> None:
    """Tell what to fund, how sure it is, what limits cost, the order of starts and the first pilot."""
    write, short = partial(money, currency=currency), partial(money_short, currency=currency)
    chosen = plan.portfolio
    for note in plan.notes:
        console.say(note)
    if chosen.members:
        proof = "proved best" if chosen.gap == 0 else f"at most {percent_up(chosen.gap)} below the best"
        console.say(
            f"fund: {', '.join(chosen.members)}. Worth {write(chosen.mean)} ({span(*chosen.interval, write)}), "
            f"{chance(chosen.p_positive)} likely to pay; mean of the worst {percent(funding.tail)} of the draws "
            f"{write(chosen.worst)}; costs {write(chosen.cost)}; {proof}."
        )
    else:
        console.say("fund: nothing. No set of initiatives earns its cost within the limits.")
    console.show_table("Initiatives, the funded ones first", _members(plan, short))
    console.say(
        "adds to the set: what it would lose without this one, or gain with it; in the best set: share of the draws in "
        "which it belongs there."
    )
    console.show_table(
        "What a budget buys",
        pd.DataFrame(
            {
                "from a budget of": [short(one.budget) for one in plan.frontier.steps],
                "worth": [short(one.worth) for one in plan.frontier.steps],
                "set": [", ".join(one.members) or "nothing" for one in plan.frontier.steps],
            }
        ),
    )
    for cost in plan.costs.limits:
        told = f"would bring {write(cost.gain)} more" if cost.gain > 0 else "would bring nothing more"
        console.say(f"limit: {cost.limit} {cost.change} {told}.")
    _show_starts(plan, plans, currency)
    first, unsure = plan.first_pilot, plan.most_uncertain
    if first is not None:
        console.say(
            f"pilot first: {first.name}. A trial is worth {write(first.sample)} before its cost, knowing its value "
            f"exactly {write(first.perfect)}; it changes the choice with a chance of {chance(first.p_change)}."
        )
    else:
        console.say(
            "pilot first: none. A trial would hardly change the choice; knowing the value of "
            f"{unsure.name} exactly would be worth {write(unsure.perfect)}."
        )
    console.say(f"knowing everything would be worth {write(plan.pilots.everything)}.")


def _waits(plans: Plans) -> dict[str, int]:
    """Months that each initiative takes of itself before it starts."""
    return {one.name: one.start_month for one in plans.initiatives}


def _show_starts(plan: FundingPlan, plans: Plans, currency: str) -> None:
    write = partial(money, currency=currency)
    if plan.schedule is not None:
        found = plan.starts(_waits(plans))
        starts = ", ".join(
            f"{name} in month {month}" for name, month in zip(found["initiative"], found["month"], strict=True)
        )
        console.say(f"start: {starts}. With {write(plan.cash)} at hand the balance never falls below "
                    f"{write(plan.schedule.lowest)}.")  # fmt: skip
    elif plan.portfolio.members:
        console.say(f"start: no order keeps {write(plan.cash)} at hand above zero. Give more with --cash.")


def _members(plan: FundingPlan, write: partial[str]) -> pd.DataFrame:
    rows = plan.portfolio.to_frame().merge(plan.stability.to_frame(), on="initiative")
    rows = rows.sort_values(["is_funded", "value_alone", "initiative"], ascending=[False, False, True])
    return pd.DataFrame(
        {
            "initiative": rows["initiative"],
            "funded": ["yes" if one else "no" for one in rows["is_funded"]],
            "cost": [write(one) for one in rows["cost"]],
            "value alone": [write(one) for one in rows["value_alone"]],
            "adds to the set": [write(one) for one in rows["adds"]],
            "in the best set (90 %)": console.intervals(rows, ("by_draw", "by_draw_lo", "by_draw_hi"), percent),
        }
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Tables:
    """The plan as tables."""

    members: pd.DataFrame
    frontier: pd.DataFrame
    limits: pd.DataFrame
    pilots: pd.DataFrame
    starts: pd.DataFrame

    @classmethod
    def of(cls, plan: FundingPlan, plans: Plans) -> _Tables:
        return cls(
            plan.portfolio.to_frame().merge(plan.stability.to_frame(), on="initiative"),
            plan.frontier.to_frame(),
            plan.costs.to_frame(),
            plan.pilots.to_frame(),
            plan.starts(_waits(plans)),
        )

    def items(self) -> dict[str, pd.DataFrame]:
        return {name: getattr(self, name) for name in self.__slots__}


@io_step("record the portfolio in MLflow")
def record(
    workspace: Workspace, contract: PanelContract, plans: Plans, funding: Funding, plan: FundingPlan, stored: Stored
) -> dict[str, Any]:
    """Record one run; the content of ``portfolio.json``."""
    study = workspace.study
    tags = identity(study, contract, int(stored.made_from["seed"]))
    tables = _Tables.of(plan, plans)
    titles = {one.name: one.label for one in plans.initiatives}
    chosen = plan.portfolio
    low, high = chosen.interval
    told = {
        "value": chosen.mean, "value_lo": low, "value_hi": high, "p_positive": chosen.p_positive,
        "worst": chosen.worst, "cost": chosen.cost, "gap": chosen.gap, "knowing_everything": plan.pilots.everything,
    }  # fmt: skip
    budget = inf if funding.budget is None else funding.budget
    with open_tracker(study, workspace.store).run("portfolio", "portfolio", tags) as run:
        run.log_params(funding.model_dump(mode="json"))
        run.log_metrics({name: value for name, value in told.items() if isfinite(value)})
        run.log_text(plans.text, "initiatives.yaml")
        for name, table in tables.items().items():
            run.log_table(table, f"{name}.csv")
        run.log_text(to_svg(frontier_chart(tables.frontier, budget, study.currency)), "frontier.svg")
        run.log_text(to_svg(stability_chart(tables.members, titles)), "stability.svg")
    return {
        "study": study.name,
        "run_id": run.run_id,
        **tags,
        "initiatives_fingerprint": plans.fingerprint,
        "currency": study.currency,
        "months": study.money.months,
        "portfolio": funding.model_dump(mode="json"),
        "cash": plan.cash,
        "funded": list(chosen.members),
        **told,
        "used": dict(chosen.used),
        "titles": titles,
        "notes": list(plan.notes),
        "knowing_everything_lo": plan.pilots.lo,
        "knowing_everything_hi": plan.pilots.hi,
        "lowest_balance": None if plan.schedule is None else plan.schedule.lowest,
        **{name: records(table) for name, table in tables.items().items()},
        "alternatives": [
            {
                "members": list(one.members), "worth": one.worth, "behind": one.behind, "cost": one.cost,
                "p_better": one.p_better,
            }
            for one in plan.others
        ],
    }  # fmt: skip
