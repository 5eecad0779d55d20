"""The features of the benchmark in DuckDB's SQL: grouped long, then laid out wide, cutoff after cutoff."""

from __future__ import annotations

import duckdb

from benchmarks.measured import Work
from benchmarks.task import FEATURES, HALF_LIFE_DAYS, KINDS, MEASURES, REPEAT_DAYS, WINDOW_DAYS, ZERO_WHEN_EMPTY, Task

__all__ = ["compute"]

_RAW = ", ".join(("customer_id", "journey_id", *KINDS, "occurred_at", "known_at", *MEASURES))

_WITH_FACTS = """\
SELECT *, coalesce(channel <> lag(channel) OVER before, false) AS switched,
  coalesce(lag(resolved) OVER before = 0 AND touchpoint <> lag(touchpoint) OVER before, false) AS handed_on,
  coalesce(row_number() OVER before = 1 AND occurred_at - lag(occurred_at) OVER thread <= INTERVAL {repeat} DAY, false)
    AS came_back
FROM ({rows})
WINDOW before AS (PARTITION BY journey_id ORDER BY occurred_at),
  thread AS (PARTITION BY customer_id, journey ORDER BY occurred_at)
"""

_HIDDEN = "SELECT DISTINCT customer_id, journey FROM settled WHERE occurred_at <= {cutoff} AND known_at > {cutoff}"

_WINDOW = """\
SELECT * FROM settled ANTI JOIN hidden USING (customer_id, journey)
WHERE occurred_at <= {cutoff} AND known_at <= {cutoff} AND occurred_at > {cutoff} - INTERVAL {window} DAY
UNION ALL BY NAME
SELECT * FROM ({beside_hidden}) WHERE occurred_at > {cutoff} - INTERVAL {window} DAY
"""

_BESIDE_HIDDEN = """\
SELECT {raw} FROM settled SEMI JOIN hidden USING (customer_id, journey)
WHERE occurred_at <= {cutoff} AND known_at <= {cutoff}
"""

_JOURNEYS = """\
SELECT customer_id, journey, count(*) AS touches, sum(wait) AS wait, count(wait) AS waits, max(wait) AS worst,
  sum(wait * 2 ** (-(epoch_us({cutoff}) - epoch_us(occurred_at)) / {half_life})) AS felt,
  arg_max(resolved, occurred_at) AS closed, min(rating) AS rating, sum(kept) AS kept, count(kept) AS promised,
  sum(switched::INT) AS switches, sum(handed_on::INT) AS handovers, sum(came_back::INT) AS returns,
  max(occurred_at) AS ended, (epoch_us(max(occurred_at)) - epoch_us(min(occurred_at))) / 86400e6 AS days,
  (epoch_us({cutoff}) - epoch_us(max(occurred_at))) / 86400e6 AS age
FROM touches GROUP BY customer_id, journey, journey_id
"""

_BY_JOURNEY = """\
SELECT customer_id, journey, count(*) AS journeys, sum(touches) AS touches_total, avg(touches) AS touches_mean,
  sum(wait) / nullif(sum(waits), 0) AS wait_mean, max(worst) AS wait_worst, coalesce(sum(felt), 0) AS wait_felt,
  avg(closed) AS closed_mean, arg_max(closed, ended) AS closed_last, min(rating) AS rating_low,
  (sum(promised) - coalesce(sum(kept), 0)) / nullif(sum(promised), 0) AS promise_gap, avg(switches) AS switches_mean,
  avg(handovers) AS handovers_mean, sum(returns) AS returns_total, avg(days) AS days_mean, min(age) AS age_low
FROM journeys GROUP BY customer_id, journey
"""

_BY_TOUCHPOINT = """\
SELECT customer_id, touchpoint, avg(effort) AS effort_mean, count(*) AS contacts
FROM touches GROUP BY customer_id, touchpoint
"""

_AT_RISK = """\
SELECT customer_id FROM read_parquet('{customers}')
WHERE joined_at <= {cutoff} AND coalesce(left_at > {cutoff}, true)
"""


def compute(task: Task) -> Work:
    """Write the features of all cutoffs, a file each."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": task.memory,
        "temp_directory": str(task.out / "spill"),
        "preserve_insertion_order": False,
    }
    with duckdb.connect(config=config) as con:
        con.execute("SET TimeZone = 'UTC'")
        _settle(con, task)
        return Work(sum(_write_features(con, task, cutoff) for cutoff in task.cutoffs))


def _settle(con: duckdb.DuckDBPyConnection, task: Task) -> None:
    """Make the table of touchpoints with their facts as they stand once all is known."""
    for name, levels in KINDS.items():
        con.execute(f"CREATE TYPE {name}_kind AS ENUM ({', '.join(map(repr, levels))})")
    kinds = ", ".join(f"{name}::{name}_kind AS {name}" for name in KINDS)
    rows = f"SELECT customer_id, journey_id, {kinds}, occurred_at, known_at, {', '.join(MEASURES)}"
    facts = _WITH_FACTS.format(rows=f"{rows} FROM read_parquet('{task.touchpoints}')", repeat=REPEAT_DAYS)
    con.execute(f"CREATE TEMP TABLE settled AS {facts}")


def _write_features(con: duckdb.DuckDBPyConnection, task: Task, cutoff: int) -> int:
    at = {"cutoff": f"make_timestamptz({cutoff})", "window": WINDOW_DAYS, "half_life": f"{HALF_LIFE_DAYS * 86_400}e6"}
    beside_hidden = _WITH_FACTS.format(rows=_BESIDE_HIDDEN.format(raw=_RAW, **at), repeat=REPEAT_DAYS)
    stages = {
        "hidden": _HIDDEN,
        "touches": _WINDOW.format(beside_hidden=beside_hidden, **at),
        "journeys": _JOURNEYS,
        "by_journey": _BY_JOURNEY,
        "by_touchpoint": _BY_TOUCHPOINT,
        "at_risk": _AT_RISK,
    }
    for name, query in stages.items():
        con.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {query.format(customers=task.customers, **at)}")
    options = "FORMAT parquet, COMPRESSION lz4_raw"
    found = con.execute(f"COPY ({_wide(at['cutoff'])}) TO '{task.out / f'{cutoff}.parquet'}' ({options})").fetchone()
    return int(found[0]) if found else 0


def _wide(cutoff: object) -> str:
    """Join level after level: half the work of ``max(...) FILTER``, and of PIVOT."""
    joins, columns = [], []
    for by, names in FEATURES.items():
        joins += [_join(by, level) for level in KINDS[by]]
        columns += [f"{_value(name, level)}::FLOAT AS {name}__{level}" for name in names for level in KINDS[by]]
    return f"SELECT customer_id, {cutoff} AS cutoff, {', '.join(columns)} FROM at_risk {' '.join(joins)}"


def _join(by: str, level: str) -> str:
    return f"LEFT JOIN (SELECT * FROM by_{by} WHERE {by} = '{level}') AS {level} USING (customer_id)"


def _value(name: str, level: str) -> str:
    return f"coalesce({level}.{name}, 0)" if name in ZERO_WHEN_EMPTY else f"{level}.{name}"
