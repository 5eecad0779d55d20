"""The sections of the report: which sentence, which chart and which table answer each question."""

from __future__ import annotations

from functools import partial

import pandas as pd

from flows import charts, sentences
from flows import report_tables as tables
from flows.certainty_chart import certainty_chart
from flows.charts import Outcome
from flows.hidden_causes import doubts_block
from flows.report_data import DataHealth, ReportData, ReportHeader
from flows.report_page import Block, Section, figure
from flows.wording import decimal, label, span, whole
from flows.worth_charts import path_chart, tornado_chart

__all__ = [
    "effects_section",
    "health_section",
    "initiatives_section",
    "methods_section",
    "quality_section",
    "worth_section",
]

_TOLD = 5
"""Initiatives that get a sentence of their own."""

_EFFECT = (
    "An effect is the change to expect for all customers at risk if the measure moved as stated and nothing upstream "
    "of it did. It is estimated, not measured in an experiment: it is as good as its adjustment set."
)
_VOLUMES = "A sudden step or gap is more often a change in recording than in customers."
_SLOPE = "At a calibration slope of 1 risks are neither too extreme (below 1) nor too timid (above 1)"
_TORNADO = (
    "One input at a time goes from its 5 % to its 95 % quantile, the others stay at their means: the longest line says "
    "where knowing more would help most."
)
_CERTAINTY = (
    "Top right is what to do: worth much, and likely to pay. Top left is what to try on few customers first. At the "
    "bottom nothing is earned, however sure that is."
)
_TOGETHER = (
    "Effects of two initiatives are estimated by moving both in the same contacts. What both would have done alone is "
    "counted once; those whose value differs most from the sum come first."
)
_ROBUSTNESS = (
    "The robustness value says how strong something unseen would have to be, tied to both the measure and the outcome, "
    "to explain the effect away: the higher, the safer. It is a share of the variance of single weeks, in which "
    "leaving is nearly all luck, so it is small; “undone by” says the same in terms of a covariate."
)


def worth_section(data: ReportData) -> Section:
    """Answer in money, best initiative first."""
    title, header = "What is it worth?", data.header
    if data.initiatives is None or data.initiatives.empty:
        return Section("worth", title, "Initiatives have not been simulated yet. Run journeylift simulate.")
    lead = sentences.worth_sentence(data.initiatives, header)
    simulated = data.initiatives[data.initiatives["npv"].notna()].sort_values("npv", ascending=False)
    if simulated.empty:
        return Section("worth", title, lead)
    best = simulated[simulated["verdict"] == "worth it"].head(_TOLD)
    told = tuple(sentences.initiative_sentence(row, header) for _, row in best.iterrows())
    chart = charts.npv_chart(simulated, header.currency, header.months)
    drawn = figure(chart, "npv", f"Net present value of {len(simulated)} initiatives with 90 % intervals. {lead}")
    said = tuple(text for text in (data.retention, sentences.constant_sentence(simulated, header.currency)) if text)
    # The answer, its picture, its numbers; what is assumed comes after them.
    block = Block(items=told, figure=drawn, table=tables.money_table(simulated, header))
    assumed = (Block("What is assumed", said),) if said else ()
    return Section("worth", title, lead, (block, *assumed, *_month_blocks(data, simulated), *_pair_blocks(data)))


def _month_blocks(data: ReportData, simulated: pd.DataFrame) -> list[Block]:
    """Revenue by month, and what drives the value of the best initiative."""
    currency, blocks = data.header.currency, []
    titles = list(zip(simulated["name"], simulated["title"], strict=True))
    if data.paths is not None and len(data.paths):
        drawn = path_chart(data.paths, titles, currency)
        blocks.append(Block("By month", figure=figure(drawn, "paths", "Revenue a month with each initiative.")))
    bars = data.tornado
    name, label_ = titles[0]
    if bars is not None and (bars["name"] == name).any():
        drawn_bars = tornado_chart(bars[bars["name"] == name], label_, currency)
        shown = figure(drawn_bars, "tornado", f"What drives the value of {label_}, most first.")
        blocks.append(Block("What the value hangs on", (_TORNADO,), figure=shown))
    return blocks


def _pair_blocks(data: ReportData) -> list[Block]:
    """Show what pairs are worth together."""
    if data.pairs is None or data.pairs.empty or data.initiatives is None:
        return []
    titles = dict(zip(data.initiatives["name"], data.initiatives["title"], strict=True))
    return [Block("Two at once", (_TOGETHER,), table=tables.pairs_table(data.pairs.head(_TOLD), titles, data.header))]


def effects_section(data: ReportData) -> Section:
    """Show what churn and revenue would do if each measure improved, beside what correlation would have said."""
    title, header, effects = "What drives churn and revenue?", data.header, data.effects
    if effects is None or effects.empty:
        return Section("effects", title, "Effects have not been estimated yet. Run journeylift explain.")
    lead = sentences.effects_sentence(effects, header)
    said = tuple(text for text in (_EFFECT, sentences.correlation_sentence(effects)) if text)
    churn = charts.churn_effects_chart(effects, header.horizon_days)
    revenue = charts.revenue_effects_chart(effects, header.currency, header.horizon_days)
    blocks = (
        Block("Effect on churn", said, figure=figure(churn, "churn-effects", f"Effects with 90 % intervals. {lead}")),
        Block(
            "Effect on revenue",
            figure=figure(revenue, "revenue-effects", "Effects on revenue with 90 % intervals; numbers in the table."),
            table=tables.effects_table(effects, header),
        ),
    )
    return Section("effects", title, lead, blocks)


def initiatives_section(data: ReportData) -> Section:
    """Compare all initiatives, the refused ones with their reasons."""
    title, found = "Initiatives compared", data.initiatives
    if found is None or found.empty:
        return Section("initiatives", title, "No initiatives to compare yet. Run journeylift simulate.")
    blocks = [Block("Verdicts", table=tables.verdict_table(found))]
    if found["npv"].notna().any():
        chart = certainty_chart(found, data.header.currency, data.header.months)
        drawn = figure(chart, "certainty", "Net present value of each initiative over its chance to pay.")
        blocks.insert(0, Block("Value against certainty", (_CERTAINTY,), figure=drawn))
    if found["churn_effect"].notna().any():
        blocks += _comparison_blocks(found, data.header)
        if "effect_verdict" in found:  # results of earlier versions have none
            blocks.append(doubts_block(found, data.header))
    return Section("initiatives", title, sentences.verdicts_sentence(found), tuple(blocks))


def _comparison_blocks(found: pd.DataFrame, header: ReportHeader) -> list[Block]:
    """Churn and revenue of the simulated ones."""
    churn = charts.initiative_churn_chart(found, header.horizon_days)
    revenue = charts.initiative_revenue_chart(found, header.currency, header.horizon_days)
    drawn = figure(revenue, "initiatives-revenue", "Effect of each initiative on revenue with 90 % intervals.")
    return [
        Block(
            "Churn",
            figure=figure(churn, "initiatives-churn", "Effect of each initiative on churn with 90 % intervals."),
        ),
        Block("Revenue", figure=drawn, table=tables.initiative_effects_table(found, header)),
    ]


def quality_section(data: ReportData) -> Section:
    """Show how good the predictions are, baselines beside them."""
    title, metrics = "How good are the models?", data.metrics
    if metrics is None or metrics.empty:
        return Section("quality", title, "No model has been trained yet. Run journeylift train.")
    blocks = [_metric_block(metrics, "churn", "log_loss", tables.METRICS["log_loss"])]
    if data.reliability is not None and not data.reliability.empty:
        chart = charts.reliability_chart(data.reliability)
        drawn = figure(chart, "reliability", "Predicted against observed churn in bins of rising risk.")
        blocks.append(Block("Churn: do the risks come true?", (_slopes(metrics),), figure=drawn))
    blocks.append(_metric_block(metrics, "revenue", "mae", f"{tables.METRICS['mae']}, {data.header.currency}"))
    found = tuple(block for block in blocks if block is not None)
    return Section("quality", title, sentences.quality_sentence(metrics), found)


def _metric_block(metrics: pd.DataFrame, outcome: Outcome, metric: str, name: str) -> Block | None:
    """One outcome: its main metric drawn, all metrics in the table."""
    rows = metrics[metrics["outcome"] == outcome]
    if rows.empty:
        return None
    drawn = None
    if (rows["metric"] == metric).any():
        chart = charts.metric_chart(metrics, outcome, metric, name)
        drawn = figure(chart, f"metric-{outcome}", f"{name}: every model and baseline; numbers in the table.")
    written = tables.metrics_table(rows, f"{outcome.capitalize()}: all metrics on unseen data with 90 % intervals")
    return Block(f"{outcome.capitalize()}: error on unseen data", figure=drawn, table=written)


def _slopes(metrics: pd.DataFrame) -> str:
    """Say whether risks are too extreme or too timid."""
    rows = metrics[(metrics["metric"] == "calibration_slope") & (metrics["fold"] == "all") & metrics["value"].notna()]
    rows = rows[(rows["outcome"] == "churn") & ~rows["candidate"].isin(charts.BASELINES)]
    two = partial(decimal, digits=2)
    told = [f"{row['candidate']} {two(row['value'])} ({span(row['lo'], row['hi'], two)})" for _, row in rows.iterrows()]
    return f"{_SLOPE}: {'; '.join(told)}." if told else f"{_SLOPE}."


def health_section(data: ReportData) -> Section:
    """Show what came in, what was put aside, and what is missing."""
    title, health = "Is the data sound?", data.health
    if health is None:
        return Section("health", title, "The data has not been laid out yet. Run journeylift features.")
    blocks = [Block("Rows", health.notes, table=tables.counters_table(health)), _quarantine_block(health)]
    if len(health.missing):
        drawn = figure(
            charts.missing_chart(health.missing), "missing", "Share of touchpoints without a value by measure."
        )
        blocks.append(Block("Missing values", figure=drawn))
    if len(health.volumes):
        journeys = ", ".join(label(name) for name in health.volumes["journey"].unique())
        drawn = figure(charts.volume_chart(health.volumes), "volumes", f"Touchpoints per month for {journeys}.")
        blocks.append(Block("Volumes", (_VOLUMES,), figure=drawn))
    return Section("health", title, sentences.health_sentence(health), tuple(blocks))


def _quarantine_block(health: DataHealth) -> Block:
    """Show what was put aside and why."""
    if not len(health.quarantined):
        return Block("Quarantine", ("No row broke a rule.",))
    return Block("Quarantine", table=tables.quarantine_table(health))


def methods_section(data: ReportData) -> Section:
    """Say how the numbers come about, and what each effect holds fixed."""
    blocks = [Block(items=_method_notes(data.header))]
    if data.effects is not None and not data.effects.empty:
        title = "What each effect holds fixed"
        blocks.append(Block(title, (_ROBUSTNESS,), table=tables.adjustment_table(data.effects)))
    lead = "What every number rests on, and what it assumes."
    return Section("methods", "How was this worked out?", lead, tuple(blocks))


def _method_notes(header: ReportHeader) -> tuple[str, ...]:
    """One sentence a method."""
    first_last = f" ({header.cutoffs[0]} to {header.cutoffs[-1]})" if header.cutoffs else ""
    return (
        f"Cutoffs: {len(header.cutoffs)}{first_last}. A row knows only what was known at its cutoff; its outcome is "
        f"what came in the {header.horizon_days} days after it.",
        "Effects: means over all customers at risk at go-live, from cross-fitted models of leaving and spending with a "
        "one-step correction. Standard errors count every customer once, however many rows they have.",
        "Initiatives: effects at the expected reach and delivery, fully ramped.",
        "Association: exact Owen values of R² over all subsets of drivers, journeys together, on top of the controls.",
        f"Money: net present value over {header.months} months, from draws of effect, delivery and cost together.",
        "Models: tested on later cutoffs, at least one horizon apart; where there is one cutoff, on other customers.",
        "Intervals: 90 % throughout.",
        _made_from(header),
    )


def _made_from(header: ReportHeader) -> str:
    """Say which rows, models, seed and code the numbers come from."""
    parts = (
        f"{whole(header.rows)} rows of the panel",
        f"churn model {header.churn_model}" if header.churn_model else "",
        f"revenue model {header.revenue_model}" if header.revenue_model else "",
        f"seed {header.seed}",
        f"journeylift {header.version}" if header.version else "",
    )
    return f"Made from: {'; '.join(part for part in parts if part)}."
