"""What the synthetic company could do next: good, useless and harmful ideas, and one that nobody can carry out."""

from features.company_policy import CompanyInitiative, Cost, Move
from features.templates import CHANGES

__all__ = ["HORIZON_DAYS", "INITIATIVES", "initiatives_yaml"]

HORIZON_DAYS = 91

_STOCK = 20_000
"""Number of customers for which the costs below are meant."""

INITIATIVES = (
    CompanyInitiative(
        name="faster-phone-support",
        title="Answer the phone in 60 % of the time",
        owner="Customer service",
        moves=(Move("support", "wait", "scale", 0.6, touchpoint="call"),),
        kind="good",
        reach=0.9,
        delivery=(0.6, 0.85, 1.0),
        cost=Cost(once=20_000, monthly=6_000),
    ),
    CompanyInitiative(
        name="first-contact-resolution",
        title="Let the first colleague solve it",
        owner="Customer service",
        moves=(Move("support", "resolved", "convert", 0.35),),
        kind="good",
        delivery=(0.5, 0.8, 1.0),
        cost=Cost(once=30_000, monthly=3_000),
        start_month=2,
    ),
    CompanyInitiative(
        name="right-first-time-bills",
        title="Check bills before they go out",
        owner="Finance",
        moves=(Move("billing", "bill_error", "convert", 0.6),),
        kind="good",
        delivery=(0.7, 0.85, 1.0),
        cost=Cost(once=60_000, monthly=3_000),
        start_month=3,
    ),
    CompanyInitiative(
        name="quicker-chat",
        title="Twice as many colleagues in chat",
        owner="Customer service",
        moves=(Move("support", "wait", "scale", 0.5, channel="chat"),),
        kind="good",
        reach=0.8,
        where=(("segment", ("basic", "plus")),),
        delivery=(0.6, 0.8, 1.0),
        cost=Cost(once=15_000, monthly=14_000),
    ),
    CompanyInitiative(
        name="faster-complaint-replies",
        title="Answer complaints in half the time",
        owner="Complaints desk",
        moves=(Move("complaint", "reply_days", "scale", 0.5),),
        kind="good",
        delivery=(0.5, 0.75, 1.0),
        cost=Cost(once=5_000, monthly=1_500, per_contact=4),
    ),
    CompanyInitiative(
        name="on-time-installation",
        title="Keep the date of the first visit",
        owner="Field service",
        moves=(Move("onboarding", "promise_gap", "scale", 0.4, touchpoint="visit"),),
        kind="good",
        reach=0.8,
        delivery=(0.5, 0.8, 1.0),
        cost=Cost(once=40_000, monthly=4_000, per_contact=10),
        start_month=2,
    ),
    CompanyInitiative(
        name="faster-app",
        title="Load the app's pages in 60 % of the time",
        owner="Digital",
        moves=(Move("usage", "page_load", "scale", 0.6, touchpoint="session"),),
        kind="useless",
        delivery=(0.8, 0.9, 1.0),
        cost=Cost(once=90_000, monthly=2_000),
    ),
    CompanyInitiative(
        name="glossier-newsletter",
        title="A newsletter that people read for longer",
        owner="Marketing",
        moves=(Move("advert", "read_time", "scale", 1.5, touchpoint="newsletter"),),
        kind="useless",
        delivery=(0.7, 0.9, 1.0),
        cost=Cost(once=10_000, monthly=4_000),
    ),
    CompanyInitiative(
        name="shorter-calls",
        title="Hang up after six minutes",
        owner="Customer service",
        moves=(Move("support", "talk", "cap", 6.0, touchpoint="call"),),
        kind="harmful",
        delivery=(0.6, 0.8, 1.0),
        cost=Cost(once=2_000, monthly=500),
    ),
    CompanyInitiative(
        name="fewer-storm-outages",
        title="Half as long without power after storms",
        owner="Nobody",
        moves=(Move("usage", "outage", "scale", 0.5),),
        kind="uncontrolled",
        delivery=(0.6, 0.8, 1.0),
        cost=Cost(once=50_000, monthly=1_000),
    ),
)


def initiatives_yaml(customers: int) -> str:
    """Write the initiatives as a planner would, with costs for a company of this size."""
    size = customers / _STOCK
    lines = [*CHANGES, "initiatives:"]
    for initiative in INITIATIVES:
        lines += _entry(initiative, size)
    lines += [
        "# portfolio:                 # what there is for all of them together: journeylift portfolio",
        f"#   {f'budget: {round(200_000 * size)}':25}# largest present value of all costs, in the study's currency",
        f"#   {f'cash: {round(60_000 * size)}':25}# at hand when initiatives are started; left out: the budget",
        "#   aversion: 0.3            # weight of the worst draws beside the mean, 0 to 1",
    ]
    return "\n".join(lines) + "\n"


def _entry(initiative: CompanyInitiative, size: float) -> list[str]:
    """Write one initiative."""
    cost = initiative.cost
    lines = [
        f"  - name: {initiative.name}",
        f"    title: {initiative.title}",
        f"    owner: {initiative.owner}",
        "    changes:",
        *(f"      - {{{_change(move)}}}" for move in initiative.moves),
        f"    reach: {initiative.reach:g}",
    ]
    if initiative.where:
        filters = ", ".join(f"{name}: [{', '.join(levels)}]" for name, levels in initiative.where)
        lines.append(f"    where: {{{filters}}}")
    low, likely, high = initiative.delivery
    lines += [
        f"    delivery: [{low:g}, {likely:g}, {high:g}]",
        f"    start_month: {initiative.start_month}",
        f"    ramp_months: {initiative.ramp_months}",
        f"    cost: {{once: {cost.once * size:.0f}, monthly: {cost.monthly * size:.0f}, "
        f"per_customer: {cost.per_customer:g}, per_contact: {cost.per_contact:g}}}",
    ]
    return lines


def _change(move: Move) -> str:
    """Write one change as a flow mapping."""
    parts = [f"journey: {move.journey}"]
    parts += [f"{key}: {value}" for key, value in (("touchpoint", move.touchpoint), ("channel", move.channel)) if value]
    return ", ".join([*parts, f"measure: {move.measure}", f"{move.operation}: {move.amount:g}"])
