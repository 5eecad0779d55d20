"""The planner's page in words: what to do, what was changed, what a value hangs on, how far to trust sliders."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from flows.planner import Setting
from flows.wording import money, money_short, percent, plain, points, span
from models.costs import COST_PARTS
from models.initiatives import Initiative
from models.simulation import Worth
from models.tornado import Bar

__all__ = ["advice", "changed_words", "driver_name", "overlap_sentence", "surface_sentence"]

_PARTS = {
    "once": "cost once", "monthly": "cost a month", "per_customer": "cost per customer",
    "per_contact": "cost per contact", "saved_monthly": "savings a month",
}  # fmt: skip

_FAR, _NEAR = 0.5, 1.0


def advice(one: Worth, currency: str) -> tuple[str, str]:
    """Say what to do with an initiative, and why.

    Parameters
    ----------
    one : Worth
        As it is set.
    currency : str
        Code.

    Returns
    -------
    answer, why : str
    """
    write = partial(money, currency=currency)
    brought, cost = float((one.npv + one.cost).mean()), float(one.cost.mean())
    even = (
        f"Before its cost it brings {write(brought)}; it costs {write(cost)}. On average it pays once the cost is "
        f"below {write(brought)}."
        if brought > 0
        else f"Even without any cost it brings {write(brought)}."
    )
    hidden = " The effect itself is only possible: something hidden could explain it." if _is_doubtful(one) else ""
    if one.verdict == "worth it":
        return "Fund it.", f"{one.reason}{hidden}"
    if one.verdict == "harmful":
        return "Leave it.", one.reason
    if one.verdict == "unsupported":
        return "Do not build on this.", one.reason
    if one.verdict == "not worth it":
        return "Not as it is.", f"{one.reason} {even}"
    return "Undecided: try it on few first, or make it cheaper.", f"{one.reason} {even}{hidden}"


def _is_doubtful(one: Worth) -> bool:
    return one.ruling is not None and one.ruling.verdict == "possible"


def changed_words(now: Setting, before: Setting, currency: str) -> str:
    """List what is not as simulated: reach 90 % → 50 %; empty where nothing is changed."""
    write = partial(money_short, currency=currency)
    pairs = [
        ("reach", percent(before.reach), percent(now.reach)),
        ("size", percent(before.size), percent(now.size)),
        ("delivered", _delivery(before), _delivery(now)),
        ("start in month", str(before.start_month), str(now.start_month)),
        ("months until in full", str(before.ramp_months), str(now.ramp_months)),
        ("lasts", _lasts(before), _lasts(now)),
    ]
    pairs += [
        (_PARTS[part], write(before.cost.limits(part)[1]), write(now.cost.limits(part)[1])) for part in COST_PARTS
    ]
    return ", ".join(f"{name} {was} → {to}" for name, was, to in pairs if was != to)


def _delivery(one: Setting) -> str:
    return " / ".join(percent(share) for share in one.delivery)


def _lasts(one: Setting) -> str:
    return "for good" if one.lasts_months is None else f"{one.lasts_months} months"


def driver_name(bar: Bar, currency: str) -> tuple[str, str]:
    """Name what a value hangs on, and its range."""
    write = partial(money_short, currency=currency)
    if bar.input == "churn effect":
        return "Effect on churn", f"{span(bar.low, bar.high, points)} points"
    if bar.input == "spend effect":
        return "Effect on spending", f"{span(bar.low, bar.high, plain)} {currency} per customer"
    if bar.input == "delivery":
        return "What is delivered", span(bar.low, bar.high, percent)
    name = _PARTS[bar.input.removeprefix("cost: ")]
    return name[:1].upper() + name[1:], span(bar.low, bar.high, write)


def overlap_sentence(settings: Mapping[str, Setting], simulated: Mapping[str, Initiative]) -> tuple[str, ...]:
    """Say how far what initiatives do twice can be trusted; empty where none has another size or delivery.

    Notes
    -----
    The error is that measured in docs/explanation/simulation.md: in proportion, against new estimates.
    """
    moved = [name for name, one in settings.items() if (one.size, one.delivery) != (1.0, simulated[name].delivery)]
    if not moved:
        return ()
    return (
        "What two do twice is taken in proportion to size and delivery: against new estimates it was off by at most "
        "17 % of what they did twice on churn as simulated, about 1 % of what both do.",
    )


def surface_sentence(setting: Setting, simulated: Initiative) -> tuple[str, ...]:
    """Say how far an answer can be trusted without a new estimate; empty where nothing is changed.

    Notes
    -----
    The errors are those measured in docs/explanation/simulation.md: the parabola against new estimates.
    """
    before = Setting.of(simulated)
    if setting == before:
        return ()
    low, likely, high = setting.delivery
    x = setting.size * (low + 4 * likely + high) / 6 / simulated.expected_delivery
    if abs(x - 1) < 1e-9 or abs(x - _FAR) < 1e-9:
        return ("Exact: reach, start, months and cost need no new estimate.",)
    error = "20 %" if x < _FAR else "6 %" if x < _NEAR else "13 %"
    return (
        f"Exact in reach, start, months and cost. With {percent(x)} of what was simulated delivered, the effect is "
        f"read off a curve: against new estimates it was off by at most {error} of the effect on churn. Simulate again "
        "before deciding on it.",
    )
