import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Explore journeys")

with app.setup:
    import marimo as mo

    from features.contract import read_contract
    from features.exploration import explore
    from features.layout import open_layout
    from features.panel import read_panel
    from flows.cells import attempt, open_study, show, study_field
    from flows.charts import volume_chart
    from flows.departures import survival_by
    from flows.journey_charts import breaks_chart, follow_ups_chart, paths_chart, waits_chart
    from flows.journey_table import journeys_table
    from flows.report import health_of
    from flows.stay_chart import experience_name, stay_chart
    from models.experience import experience_features


@app.cell(hide_code=True)
def _():
    mo.md("""
    # Explore journeys

    What customers go through, before anything is modelled:

    1. **Volumes**: which journeys are there, how many, how steady over time?
    2. **Paths**: in which order do touchpoints follow each other?
    3. **Waits**: how long does it take, at a touchpoint and between two of them?
    4. **Breaks**: where does something go wrong, is it mended, what follows?
    5. **Staying**: how long do customers stay, by what they went through?

    Everything here describes. What goes along with churn is weighed against everything else in *Read drivers*, and what
    an improvement would change is another question again: `journeylift explain` and `simulate`.
    """)
    return


@app.cell
def _():
    path = study_field()
    path
    return (path,)


@app.cell
def _(path):
    workspace = attempt(lambda: open_study(path.value, "touchpoints"))
    study, contract = workspace.study, read_contract(workspace.store.root)
    layout = open_layout(workspace.store.root)
    found = explore(layout, study)
    return contract, found, layout, study, workspace


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Volumes

    A sudden step or gap is more often a change in recording than in customers; `journeylift check` looks for such
    breaks.
    """)
    return


@app.cell
def _(found, layout):
    show(journeys_table(found.journeys), volume_chart(health_of(layout.manifest).volumes))
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Paths

    A path is the sequence of touchpoints of one journey. Many touchpoints in a row are effort: somebody had to come
    back.
    """)
    return


@app.cell
def _(found):
    longer = found.journeys.query("several > 0")["journey"].tolist()
    of_paths = mo.ui.multiselect(found.journeys["journey"].tolist(), longer, label="Journeys")
    of_paths
    return (of_paths,)


@app.cell
def _(found, of_paths):
    show(*(paths_chart(found.paths, name) for name in of_paths.value))
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Waits

    Measures that are times, and the pauses between the touchpoints of a journey. The middle half shows how much waits
    differ; where it is wide, the median promises more than many customers get.
    """)
    return


@app.cell
def _(found):
    show(*(waits_chart(found.waits, unit) for unit in found.waits["unit"].unique()))
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Where journeys break

    Something goes wrong where a task is not done, a failure happens or a promise is broken. Below, what a broken
    touchpoint is followed by, beside what follows one that went well: calls that a wrong bill may have caused. Who
    meets trouble may differ in other ways too, so the gap is an association.
    """)
    return


@app.cell
def _(found, study):
    if found.troubles.empty:
        broken = show("No measure of this study says whether something went wrong: no task, no failure, no promise.")
    else:
        broken = show(
            breaks_chart(found.troubles), follow_ups_chart(found.follow_ups, float(study.touchpoints.repeat_days))
        )
    broken
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## How long customers stay, by what they went through

    Customers at each cutoff are grouped by an experience of the months before it and followed until they leave or the
    data end (Kaplan and Meier; intervals by customer). The numbers below a chart say how many are still followed;
    *nothing of the kind* are those without such a contact.
    Groups differ in more than this experience: the curves are associations.
    """)
    return


@app.cell
def _(contract):
    experiences = {experience_name(one): one for one in experience_features(contract.features)}
    first = {one.journey: name for name, one in reversed(experiences.items())}
    of_staying = mo.ui.multiselect(experiences, list(reversed(first.values())), label="Experiences", full_width=True)
    of_staying
    return (of_staying,)


@app.cell
def _(contract, of_staying, workspace):
    panel = read_panel(workspace.store.root)
    curves = survival_by(workspace, contract, panel, of_staying.value)
    words = {one.name: experience_name(one) for one in of_staying.value}
    show(*(stay_chart(one, words[name]) for name, one in curves.items()))
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Further

    `02_read_drivers.py` weighs all experiences against each other; `03_validate_model.py` asks whether the models can
    be believed. Every table here is a DataFrame: `found.journeys`, `found.paths`, `found.troubles`,
    `found.follow_ups`, `found.waits`, `curves`.
    """)
    return


if __name__ == "__main__":
    app.run()
