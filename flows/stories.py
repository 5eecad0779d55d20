"""What a run has to tell on Prefect's pages: some sentences and a table, from the result that its flow writes anyway.

Sums, rates and names of measures only; nothing of a single customer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flows.wording import alike, chance, label, money, money_short, percent, plain, span, whole

__all__ = ["Story", "told"]

Result = Mapping[str, Any]
Row = dict[str, str]

_MOST: Final = 20
"""Rows of a table: what a person reads; the result file holds all."""
_METRICS: Final = (
    "log_loss", "brier", "auc", "calibration_slope", "captured_10", "rmse", "mae", "r2", "mean_calibration",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Story:
    """What is shown of a run.

    Parameters
    ----------
    sentences : tuple of str
        Markdown, a paragraph each.
    title : str
        Of the table.
    table : tuple of dict of str to str
        Written values by heading, in the order to be read; empty for none.
    """

    sentences: tuple[str, ...]
    title: str = ""
    table: tuple[Row, ...] = ()


def told(flow: str, result: Result) -> Story | None:
    """Tell of a run.

    Parameters
    ----------
    flow : str
        Name of its result, such as ``score``.
    result : mapping
        As it stands in ``results/<flow>.json``.

    Returns
    -------
    Story or None
        None for flows that have nothing to tell.
    """
    teller = _TELLERS.get(flow)
    return None if teller is None else teller(result)


def _features(result: Result) -> Story:
    cutoffs, matured = result["cutoffs"], result["matured"]
    read = f" from {whole(result['touchpoints'])} touchpoints" if "touchpoints" in result else ""
    built, kept = result["parts_built"], result["parts_reused"]
    outcomes = f"outcomes are known at {len(matured)}"
    rows = sorted(result["quarantined"], key=lambda one: (-one["rows"], one["table"], one["reason"]))
    table = [{"table": one["table"], "set aside because": one["reason"], "rows": whole(one["rows"])} for one in rows]
    return Story(
        (
            f"**{whole(result['rows'])} rows** of {whole(result['customers'])} customers{read}: "
            f"{len(result['features'])} features at {len(cutoffs)} cutoffs, {cutoffs[0]} to {cutoffs[-1]}; {outcomes}.",
            f"{built} parts were built, {kept} were kept as they would come out the same.",
            *(f"Note: {note}" for note in result["notes"]),
        ),
        "Rows set aside",
        tuple(table[:_MOST]),
    )


def _train(result: Result) -> Story:
    outcomes: Mapping[str, Any] = result["outcomes"]
    table = [
        _interval_row({"outcome": name, "metric": row["metric"]}, row["value"], row["lo"], row["hi"])
        | {"rows": whole(row["n"])}
        for name, one in outcomes.items()
        for row in _of_winner(one)
    ]
    return Story(
        (
            f"Learned from **{whole(result['rows'])} rows** with outcomes; {percent(result['churn_rate'], 1)} left.",
            *(f"**{name}**: version {one['version']} is the {one['alias']}: {one['reason']}"
              for name, one in outcomes.items()),
            *(one["sentence"] for one in outcomes.values()),
        ),
        "Metrics of the winners, out of time",
        tuple(table),
    )  # fmt: skip


def _of_winner(one: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = {r["metric"]: r for r in one["metrics"] if r["candidate"] == one["winner"] and r["fold"] == "all"}
    return [found[name] for name in _METRICS if name in found]


def _explain(result: Result) -> Story:
    rows = [row for row in result["driver_table"] if row["level"] == "journey" and row["share"] is not None]
    rows.sort(key=lambda row: (row["outcome"], -row["share"], row["journey"]))
    table = [
        {
            "outcome": row["outcome"],
            "journey": label(row["journey"]),
            "share of what goes along (%)": f"{100 * row['share']:.0f}",
            "90 % interval": span(row["share_lo"], row["share_hi"], lambda one: f"{100 * one:.0f}"),
            "customers": whole(row["n"]),
        }
        for row in rows
        if row["share_lo"] is not None
    ]
    sure = [row for row in result["effects"] if row.get("verdict") == "likely"]
    return Story(
        (
            f"{len(result['effects'])} effects were estimated, **{len(sure)} of them likely**; "
            f"{len(result['refusals'])} were refused.",
            "The table is association: what goes along with an outcome, whether or not it causes it.",
        ),
        "Association by journey",
        tuple(table[:_MOST]),
    )


def _simulate(result: Result) -> Story:
    currency = result["currency"]
    rows = [row for row in result["initiatives"] if row.get("npv") is not None]
    rows.sort(key=lambda row: (-row["npv"], row["name"]))
    table = [
        {
            "initiative": row["title"],
            f"value over {result['months']} months": money_short(row["npv"], currency),
            "90 % interval": span(row["npv_lo"], row["npv_hi"], lambda one: money_short(one, currency)),
            "chance to pay": chance(row["p_npv_positive"]),
            "verdict": row["verdict"],
        }
        for row in rows
    ]
    best = f" The most valuable is **{rows[0]['title']}**: {rows[0]['verdict']}." if rows else ""
    known = f" for {whole(result['customers'])} customers at {result['cutoff']}" if "cutoff" in result else ""
    return Story(
        (f"{len(result['initiatives'])} initiatives were simulated{known}.{best}",),
        "Net present value",
        tuple(table[:_MOST]),
    )


def _portfolio(result: Result) -> Story:
    currency, titles = result["currency"], result["titles"]
    funded = [f"**{titles[name]}**" for name in result["funded"]]
    value = span(result["value_lo"], result["value_hi"], lambda one: money(one, currency))
    rows = sorted(result["members"], key=lambda row: (not row["is_funded"], -row["adds"], row["initiative"]))
    table = [
        {
            "initiative": titles[row["initiative"]],
            "funded": "yes" if row["is_funded"] else "no",
            "adds": money_short(row["adds"], currency),
            "cost": money_short(row["cost"], currency),
        }
        for row in rows
    ]
    return Story(
        (
            f"Fund {', '.join(funded)}." if funded else "Fund nothing: no set is worth more than it costs.",
            f"Worth {money(result['value'], currency)} over {result['months']} months (90 % interval {value}) "
            f"for {money(result['cost'], currency)}.",
            *(f"Note: {note}" for note in result["notes"]),
        ),
        "Initiatives, funded first",
        tuple(table[:_MOST]),
    )


def _score(result: Result) -> Story:
    count, risk = result["customers"], result["mean_churn_risk"]
    versions = {name: result.get(f"{name}_model_version") for name in ("churn", "revenue")}
    named = " and ".join(f"version {number} of {name}" for name, number in versions.items() if number is not None)
    amounts = {"expected revenue": result["expected_revenue"], "revenue at risk": result["revenue_at_risk"]}
    table = [
        {"what": "customers at risk", "value": whole(count)},
        {"what": "mean churn risk", "value": percent(risk, 1)},
        {"what": "customers expected to leave", "value": whole(risk * count)},
        *({"what": name, "value": plain(value)} for name, value in amounts.items() if value is not None),
    ]
    return Story((f"**{whole(count)} customers** scored at {result['cutoff']} with {named}.",), "Scores", tuple(table))


def _monitor(result: Result) -> Story:
    reasons = [str(one.get("text", one)) if isinstance(one, Mapping) else str(one) for one in result["reasons"]]
    verdict = f"Verdict: **{result['verdict']}**."
    return Story((verdict if reasons else f"{verdict} Nothing stands out.", *(f"- {one}" for one in reasons)))


def _retrain(result: Result) -> Story:
    table = [
        {"model": name, "new version": one["version"], "became": one["alias"], "scores next": one["scores_next"]}
        for name, one in result["outcomes"].items()
    ]
    reasons = (f"**{name}**: {one['reason']}" for name, one in result["outcomes"].items())
    return Story((str(result["why"]), *reasons), "Versions", tuple(table))


def _interval_row(named: Row, value: float, lo: float | None, hi: float | None) -> Row:
    if lo is None or hi is None:
        return named | {"value": plain(value), "90 % interval": ""}
    write = alike(value, lo, hi)
    return named | {"value": write(value), "90 % interval": span(lo, hi, write)}


_TELLERS: Final[Mapping[str, Callable[[Result], Story]]] = {
    "features": _features,
    "train": _train,
    "explain": _explain,
    "simulate": _simulate,
    "portfolio": _portfolio,
    "score": _score,
    "monitor": _monitor,
    "retrain": _retrain,
}


def as_markdown(story: Story, links: Sequence[tuple[str, str]]) -> str:
    """Write the sentences, and below them where more is."""
    where = [f"- {name}: `{place}`" for name, place in links]
    return "\n\n".join([*story.sentences, "\n".join(where)] if where else story.sentences)
