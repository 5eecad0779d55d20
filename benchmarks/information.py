"""How near the truth any estimate of an effect on churn can come: Cramer-Rao bounds, all but a few numbers known.

    python -m benchmarks.information --seeds 4 --first-seed 701

Whoever knows everything of a company (baseline hazard, memories and their decay, who calls when) but how much some
things hurt must still learn that from who left. Let theta_j scale one part of what is felt (theta = 1 in truth), h the
chance of leaving in a week, and x = d logit(h) / d theta. The information is I = sum over customers at risk and weeks
of h (1 - h) x x', and no unbiased estimate of an effect has a variance below g' I^-1 g, where g is the gradient of the
effect by theta, from running the world again with theta a little larger (Cramer 1946, chapter 32; Rao 1945).

`shape known`: five numbers are unknown, how much each moved measure hurts; how the hurt goes along with its value is
known. `shape unknown`: six are, how much hurts what each good initiative would take away; nothing is known of how that
goes along with what it leaves. An estimate that does not know the company has more to learn than either.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.special import logit

from features.company import Company, live_weeks, simulate_company
from features.company_initiatives import HORIZON_DAYS, INITIATIVES
from features.company_people import People, World
from features.company_policy import CompanyInitiative, Move, Policy
from features.company_state import Floats, Now, State, Touches, start_state
from features.company_world import Week, live_week, remember

STEP = 0.01
"""Added to theta: the memory of the worst moment bends where another moment becomes the worst."""

BEST = tuple(
    CompanyInitiative(f"best {move.measure}", "", "", (move,), "good", delivery=(1.0, 1.0, 1.0))
    for move in (
        Move("support", "wait", "scale", 0.0),
        Move("support", "resolved", "convert", 1.0),
        Move("billing", "bill_error", "convert", 1.0),
        Move("complaint", "reply_days", "scale", 0.0),
        Move("onboarding", "promise_gap", "scale", 0.0),
    )
)
"""Each measure at its best everywhere: what good initiatives move."""

GOOD = tuple(initiative for initiative in INITIATIVES if initiative.kind == "good")
WHOLE = tuple(replace(one, reach=1.0, where=(), delivery=(1.0, 1.0, 1.0)) for one in GOOD)
"""Initiatives that reach everybody and keep all they promise."""


def bounds(company: Company) -> pd.DataFrame:
    """Bound the relative error of each good initiative's effect on churn.

    Returns
    -------
    DataFrame
        initiative, effect (change in the share that leaves), and the least standard errors in per cent of the effect.
    """
    rows, knowledge = [], {"shape known": BEST, "shape unknown": WHOLE}
    variance = {name: np.linalg.inv(_information(company, parts)) for name, parts in knowledge.items()}
    for initiative in GOOD:
        effect, least = _effect(company, initiative), {}
        for name, parts in knowledge.items():
            gradient = np.array([_effect(company, initiative, part) - effect for part in parts]) / STEP
            least[name] = 100 * np.sqrt(gradient @ variance[name] @ gradient) / abs(effect)
        rows.append({"initiative": initiative.name, "effect": effect} | least)
    return pd.DataFrame(rows)


def _information(company: Company, parts: Sequence[CompanyInitiative]) -> Floats:
    """Sum what each week says about the thetas, over the lives as they were lived; shape (parts, parts)."""
    world, people = company.world, company.people
    felt, total = [start_state(len(people)) for _ in parts], np.zeros((len(parts), len(parts)))
    for one in live_weeks(world, people):
        nobody, hazard = Policy(world.seed, one.people), one.lived.hazard
        odds, x = logit(hazard), []
        for own, part in zip(felt, parts, strict=True):
            slightly = _felt_more(world, one.people, own.take(one.rows), one.week, nobody, part)
            x.append((logit(slightly.hazard) - odds) / STEP)
            own.put(one.rows, slightly.state)
        total += (np.array(x) * hazard * (1 - hazard)) @ np.array(x).T
    return total


def _effect(company: Company, initiative: CompanyInitiative, hurts_more: CompanyInitiative | None = None) -> float:
    """Change in the share that leaves within the horizon, mean over go-lives, as it is or with one theta larger."""
    world, found = company.world, []
    for go_live in company.go_lives:
        people, stays = company.people.take(go_live.rows), []
        for at_work in ([], [initiative]):
            policy, state, stay = Policy(world.seed, people, at_work), go_live.state, np.ones(len(people))
            for week in range(go_live.week, go_live.week + HORIZON_DAYS // 7):
                lived = _felt_more(world, people, state, week, policy, hurts_more)
                stay, state = stay * (1 - lived.hazard), lived.state
            stays.append(stay.mean())
        found.append(stays[0] - stays[1])
    return float(np.mean(found))


def _felt_more(
    world: World, people: People, state: State, week: int, policy: Policy, part: CompanyInitiative | None
) -> Week:
    """Live a week in which what an initiative would take away hurts a little more than it does."""
    lived = live_week(world, people, state, week, policy)
    if part is None:
        return lived
    spared = live_week(world, people, state, week, Policy(world.seed, people, [part]))
    touches = map(_a_step_from, lived.touches, spared.touches)
    fast, slow, worst = remember(Now(world, people, policy, week), state, touches)
    return replace(lived, state=replace(lived.state, fast=fast, slow=slow, worst=worst))


def _a_step_from(touch: Touches, spared: Touches) -> Touches:
    """Let contacts hurt by a step more of what they would have been spared."""
    if touch.rows.tolist() != spared.rows.tolist():
        raise AssertionError("An initiative changed who was in contact in its own week.")
    return replace(touch, hurt=touch.hurt + STEP * (touch.hurt - spared.hurt))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seeds", type=int, default=4)
    options.add_argument("--first-seed", type=int, default=701)
    options.add_argument("--customers", type=int, default=10_000)
    given = options.parse_args()
    parts = [bounds(simulate_company(given.customers, given.first_seed + k)) for k in range(given.seeds)]
    table = pd.concat(parts).groupby("initiative", sort=False).mean()
    print(table.round({"effect": 6, "shape known": 1, "shape unknown": 1}).to_string())
    for name in ("shape known", "shape unknown"):
        print(f"{name}: least standard error {table[name].mean():.1f} % of the effect, mean over initiatives")


if __name__ == "__main__":
    main()
