import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Validate a model")

with app.setup:
    import marimo as mo

    from features.contract import read_contract
    from features.panel import read_panel
    from flows.cells import attempt, open_study, show, study_field
    from flows.charts import reliability_chart
    from flows.model_charts import gains_chart
    from flows.report import tidied
    from flows.report_sections import quality_section
    from flows.results import gather
    from flows.tracking import CHALLENGER, CHAMPION
    from flows.validation import beside, past_tests
    from flows.validation_charts import by_cutoff_chart, by_segment_chart, versions_chart


@app.cell(hide_code=True)
def _():
    mo.md("""
    # Validate a model

    1. **Is it better than a simple rule**, on rows that it had not learned from?
    2. **Do its risks come true**, and do they still at the latest cutoff?
    3. **Does it find those who leave**: how many among the riskiest?
    4. **Is it wrong for somebody**: which segments are off?
    5. **Challenger or champion**: which is better on the same rows?

    All numbers come from cutoffs after everything that the tested model had learned from. Intervals are 90 %, rows of
    one customer counted as one.
    """)
    return


@app.cell
def _():
    path = study_field()
    path
    return (path,)


@app.cell
def _(path):
    workspace = attempt(lambda: open_study(path.value, "train"))
    data = tidied(gather(workspace))
    contract, panel = read_contract(workspace.store.root), read_panel(workspace.store.root)
    outcomes = list(dict.fromkeys(data.metrics["outcome"]))
    return contract, data, outcomes, panel, workspace


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Against baselines

    A model that does not beat prevalence, recency and frequency is not worth its keep. The candidates are those of the
    latest training.
    """)
    return


@app.cell
def _(data):
    show(quality_section(data))
    return


@app.cell
def _(outcomes):
    outcome = mo.ui.dropdown(outcomes, outcomes[0], label="Outcome")
    outcome
    return (outcome,)


@app.cell
def _(contract, outcome, panel, workspace):
    champion = attempt(lambda: past_tests(workspace, contract, panel, outcome.value, CHAMPION))
    challenger = attempt(lambda: past_tests(workspace, contract, panel, outcome.value, CHALLENGER))
    mo.stop(champion is None, show("No version is champion. Run: journeylift train, or journeylift rollback"))
    is_churn = outcome.value == "churn"
    return challenger, champion, is_churn


@app.cell(hide_code=True)
def _(champion):
    mo.md(f"""
    ## By cutoff

    The {champion.outcome} model of version {champion.version} ({champion.candidate}), on
    {len(champion.predictions):,} of the {champion.recorded:,} rows that it was tested on. A model whose AUC or slope
    gets worse from cutoff to cutoff is ageing: train again. Log loss also moves with how many leave.
    """)
    return


@app.cell
def _(champion, is_churn):
    metrics = champion.metrics()
    told = ("log_loss", "auc", "calibration_slope", "lift_10") if is_churn else ("mae", "r2", "mean_calibration")
    show(*(by_cutoff_chart(metrics, name) for name in told))
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Do the risks come true, and are those who leave found?

    On the dashed diagonal predictions are right. Of those approached first, the more leave anyway, the better the
    ranking.
    """)
    return


@app.cell
def _(champion, is_churn):
    if is_churn:
        drawn = show(
            reliability_chart(champion.reliability()),
            gains_chart(champion.gains(), champion.predictions["candidate"].iloc[0]),
        )
    else:
        drawn = show(
            "Calibration in bins and the riskiest tenth are asked of risks. See predicted over observed above."
        )
    drawn
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## By segment

    A model that is right on average may be wrong for a region. Of ten 90 % intervals one is expected to miss the truth,
    so look for what is off by much, not for what is off at all.
    """)
    return


@app.cell
def _(champion, is_churn):
    segments = champion.segments()
    show(*(by_segment_chart(segments, name) for name in ("mean_calibration", "auc" if is_churn else "mae")))
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Challenger beside champion

    Two models tested on different months differ by the months. So losses are taken row by row on the rows that both
    were tested on, each before it had learned from them.
    """)
    return


@app.cell
def _(challenger, champion):
    if challenger is None:
        compared = show("There is no challenger. Train one without promoting it: journeylift train --promote never")
    else:
        differences = beside(challenger, champion)
        compared = show(
            "They share no rows that both were tested on." if differences.empty else versions_chart(differences)
        )
    compared
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Further

    `champion.predictions` holds the rows, `metrics` and `segments` all metrics. Versions: `journeylift models`; the
    card, the figures and the settings of each are in MLflow. How metrics are made: docs/explanation/prediction.md.
    """)
    return


if __name__ == "__main__":
    app.run()
