"""Touchpoints of a large company, drawn piece by piece, and the 170 features that the benchmark asks of them.

Nothing here means anything: measures are noise. What matters is the shape: customers of very different activity,
journeys of several touchpoints that overlap, measures that are often missing, rows that become known late.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.task import CHANNELS, HALF_LIFE_DAYS, JOURNEYS, KINDS, MEASURES, REPEAT_DAYS, TOUCHPOINTS, WINDOW_DAYS
from features.folds import Plan, count, decayed, high, last, low, mean, ratio, since, span, total
from features.snapshot import DAY, parse_date

__all__ = ["LEVELS", "PLAN", "STUDY", "Workload", "cutoffs", "write_workload"]

Ints: TypeAlias = NDArray[np.int64]

LEVELS: dict[Any, Any] = {name: KINDS[name] for name in ("journey", "touchpoint")}

START, END = parse_date("2025-01-01"), parse_date("2026-01-01")
FIRST_ID = 10_000_000
"""Ids have equally many digits: their order as numbers is their order as text."""

_PER_CUSTOMER = 28
_PIECE_ROWS = 1_000_000
_KNOWN_SHARE = {"wait": 0.9, "resolved": 0.85, "rating": 0.3, "effort": 0.6, "kept": 0.7}
_LATE_SHARE = 0.005

PLAN = Plan(
    facts={
        "switched": lambda t: t.channel != t.before.channel,
        "handed_on": lambda t: (t.before.resolved == 0) & (t.touchpoint != t.before.touchpoint),
        "came_back": lambda t: t.is_first & (t.occurred_at - t.thread.occurred_at <= REPEAT_DAYS * DAY),
    },
    journey={
        "touches": count(),
        "wait": total("wait"),
        "waits": total(lambda t: ~np.isnan(t.wait)),
        "worst": high("wait"),
        "felt": decayed("wait", HALF_LIFE_DAYS),
        "closed": last("resolved"),
        "rating": low("rating"),
        "kept": total("kept"),
        "promised": total(lambda t: ~np.isnan(t.kept)),
        "switches": total("switched"),
        "handovers": total("handed_on"),
        "returns": total("came_back"),
        "days": span(),
        "age": since(),
    },
    features={
        "journey": {
            "journeys": count(),
            "touches_total": total("touches"),
            "touches_mean": mean("touches"),
            "wait_mean": ratio("wait", "waits"),
            "wait_worst": high("worst"),
            "wait_felt": total("felt"),
            "closed_mean": mean("closed"),
            "closed_last": last("closed"),
            "rating_low": low("rating"),
            "promise_gap": ratio(lambda j: j.promised - j.kept, "promised"),
            "switches_mean": mean("switches"),
            "handovers_mean": mean("handovers"),
            "returns_total": total("returns"),
            "days_mean": mean("days"),
            "age_low": low("age"),
        }
    },
    touch_features={"touchpoint": {"effort_mean": mean("effort"), "contacts": count()}},
    window_days=WINDOW_DAYS,
)

STUDY = """\
study: benchmark
sources: {customers: customers.parquet, touches: touchpoints/*.parquet, churn: churn.parquet, paid: revenue.parquet}
customers: {from: customers}
touchpoints: {from: touches}
churn: {from: churn}
revenue: {from: paid}
journeys: [{name: advert, stage: any}, {name: billing, stage: any}, {name: complaint, stage: any},
  {name: onboarding, stage: any}, {name: outage, stage: any}, {name: purchase, stage: any},
  {name: renewal, stage: any}, {name: support, stage: any}]
measures:
  - {name: wait, unit: min, kind: duration, direction: lower}
  - {name: resolved, unit: share, kind: share, direction: higher}
  - {name: rating, unit: points, kind: rating, direction: higher, range: [0, 10]}
  - {name: effort, unit: points, kind: count, direction: lower}
  - {name: kept, unit: share, kind: share, direction: higher}
snapshot: {every: month, window_days: 180, first: 2025-08-01}
"""


@dataclass(frozen=True, slots=True)
class Workload:
    """What was written to a folder.

    Attributes
    ----------
    wanted, touchpoints, customers : int
        Touchpoints asked for; touchpoints and customers written.
    seed : int
    """

    wanted: int
    touchpoints: int
    customers: int
    seed: int


def cutoffs(n: int) -> tuple[int, ...]:
    """List n cutoffs, ascending: the firsts of August to January, then the middles of the months before them.

    All have a full window of data behind them.
    """
    months = ("2025-07", "2025-08", "2025-09", "2025-10", "2025-11", "2025-12", "2026-01")
    days = [f"{month}-01" for month in months[1:]] + [f"{month}-15" for month in reversed(months[:-1])]
    if not 1 <= n <= len(days):
        raise ValueError(f"{n} cutoffs were asked for; 1 to {len(days)} have a full window")
    return tuple(sorted(parse_date(day) for day in days[:n]))


def write_workload(folder: Path, touchpoints: int, seed: int = 1) -> Workload:
    """Write a workload as a user would bring it, unless it is there already.

    Parameters
    ----------
    folder : Path
        Gets ``touchpoints/*.parquet``, ``customers.parquet``, ``churn.parquet``, ``revenue.parquet``, ``study.yaml``.
    touchpoints : int
        About how many. Customers are spread over all files, and each file is ordered by time: as data arrive, not as
        one would like to have them.
    seed : int
        The same seed gives the same rows.
    """
    stamp = folder / "workload.json"
    if stamp.is_file():
        there = Workload(**json.loads(stamp.read_text(encoding="utf-8")))
        if (there.wanted, there.seed) == (touchpoints, seed):
            return there
    (folder / "touchpoints").mkdir(parents=True, exist_ok=True)
    pieces = -(-touchpoints // _PIECE_ROWS)
    customers = max(pieces, round(touchpoints / _PER_CUSTOMER))
    people = _people(np.random.default_rng([seed, 0]), customers)
    rows = 0
    for piece in range(pieces):
        table = _piece(np.random.default_rng([seed, 1, piece]), people, piece, pieces)
        rows += table.num_rows
        pq.write_table(table, folder / "touchpoints" / f"{piece:04d}.parquet", compression="zstd")
    _write_people(people, folder)
    (folder / "study.yaml").write_text(STUDY, encoding="utf-8")
    found = Workload(touchpoints, rows, customers, seed)
    stamp.write_text(json.dumps(asdict(found)), encoding="utf-8")
    return found


def _people(rng: np.random.Generator, n: int) -> dict[str, Ints]:
    """Draw when customers joined, and when some of them left: three in four are at risk at a cutoff."""
    joined = START + rng.integers(-300, 330, n) * DAY
    left = np.maximum(joined, START) + (20 + rng.exponential(1500, n)).astype(np.int64) * DAY
    return {"joined": joined, "left": np.minimum(left, END)}


def _write_people(people: Mapping[str, Ints], folder: Path) -> None:
    ids = FIRST_ID + np.arange(len(people["joined"]))
    left = people["left"]
    has_left = left < END
    pq.write_table(
        pa.table({
            "customer_id": ids, "joined_at": _moments(people["joined"]),
            "left_at": pa.array(left, mask=~has_left).cast(pa.timestamp("us", tz="UTC")),
        }),
        folder / "customers.parquet",
    )  # fmt: skip
    churn = {"customer_id": ids[has_left], "churned_at": _moments(left[has_left])}
    pq.write_table(pa.table(churn), folder / "churn.parquet")
    paid = {"customer_id": ids, "occurred_at": _moments(np.full(len(ids), END - DAY)), "amount": np.ones(len(ids))}
    pq.write_table(pa.table(paid), folder / "revenue.parquet")


def _piece(rng: np.random.Generator, people: Mapping[str, Ints], piece: int, pieces: int) -> pa.Table:
    """Draw the touchpoints of every customer whose number is ``piece`` modulo ``pieces``."""
    customers = np.arange(piece, len(people["joined"]), pieces)
    begin, end = np.maximum(people["joined"][customers], START), people["left"][customers]
    share = (end - begin) / (END - START)
    activity = rng.gamma(2.0, 0.5, len(customers)) * share / np.maximum(share.mean(), 1e-9)
    journeys = rng.poisson(activity * _PER_CUSTOMER / 2.88)
    owner = np.repeat(np.arange(len(customers)), journeys)
    kind = rng.choice(len(JOURNEYS), len(owner), p=_weights(len(JOURNEYS)))
    began = begin[owner] + (rng.random(len(owner)) * (end - begin)[owner]).astype(np.int64)
    of = np.repeat(np.arange(len(owner)), rng.geometric(1 / 3, len(owner)))
    pause = np.where(np.diff(of, prepend=-1) == 1, 0, rng.exponential(1.5 * DAY, len(of)))
    passed = np.cumsum(pause)
    first = np.flatnonzero(np.diff(of, prepend=-1))
    at = began[of] + (passed - passed[first][of]).astype(np.int64)
    kept = at < end[owner[of]]
    of, at = of[kept], at[kept]
    order = np.argsort(at, kind="stable")
    of, at = of[order], at[order]
    ids = FIRST_ID + customers[owner[of]]
    return _table(rng, ids, kind[of], of * pieces + piece, _distinct(at))


def _distinct(at: Ints) -> Ints:
    """Give touchpoints in time order times of their own: what came before must not depend on who computes it."""
    return at // 1_000_000 * 1_000_000 + np.arange(len(at)) % 1_000_000


def _table(rng: np.random.Generator, ids: Ints, journey: Ints, journey_id: Ints, at: Ints) -> pa.Table:
    n = len(ids)
    touchpoint = (3 * journey + rng.choice(5, n, p=_weights(5))) % len(TOUCHPOINTS)
    late = (rng.random(n) < _LATE_SHARE) * rng.exponential(5 * DAY, n)
    values = {
        "wait": np.round(rng.gamma(1.5, 6.0, n), 1),
        "resolved": (rng.random(n) < 0.7).astype(float),
        "rating": rng.integers(0, 11, n).astype(float),
        "effort": rng.integers(1, 8, n).astype(float),
        "kept": np.round(rng.beta(5, 2, n), 2),
    }
    return pa.table(
        {
            "customer_id": ids,
            "journey": _texts(journey, JOURNEYS),
            "journey_id": journey_id,
            "touchpoint": _texts(touchpoint, TOUCHPOINTS),
            "channel": _texts(rng.choice(len(CHANNELS), n, p=_weights(len(CHANNELS))), CHANNELS),
            "occurred_at": _moments(at),
            "known_at": _moments(at + late.astype(np.int64)),
        }
        | {name: pa.array(values[name], mask=rng.random(n) >= _KNOWN_SHARE[name]) for name in MEASURES}
    )


def _weights(n: int) -> NDArray[np.float64]:
    """Make the first of n kinds three times as frequent as the last."""
    weights = np.linspace(3, 1, n)
    return np.asarray(weights / weights.sum(), np.float64)


def _texts(codes: Ints, names: tuple[str, ...]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), pa.array(names)).cast(pa.string())


def _moments(at: Ints) -> pa.Array:
    return pa.array(at).cast(pa.timestamp("us", tz="UTC"))
