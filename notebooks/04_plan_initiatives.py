import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Plan initiatives", css_file="planner.css")

with app.setup:
    import marimo as mo

    from flows.cells import attempt
    from flows.planner import open_bench
    from flows.planner_controls import (
        VIEWS,
        choice_field,
        controls,
        grid,
        is_choice,
        limit_fields,
        read_setting,
        set_field,
        setting_fields,
        study_choice,
        view_bar,
        view_buttons,
        view_mark,
    )
    from flows.planner_funds import AT_ONCE, asking, funded_html, read_limits
    from flows.planner_page import (
        alone_html,
        comparison_html,
        heading_html,
        one_html,
        overview_html,
        said_html,
        together_html,
    )
    from flows.planner_saving import (
        comparison_csv,
        comparison_png,
        report_file,
        save,
        settings_csv,
    )
    from flows.planner_scenes import compare_field, compared, load_field, members_of, of_study, put
    from flows.planner_sets import FEWEST, compare_sets, set_worth


@app.cell(hide_code=True)
def _():
    mo.md("""
    # Plan initiatives

    1. **What is it worth**, and how sure is that?
    2. **What does it hang on**, and what if it reached fewer, came later, cost more?
    3. **Which scenario is better**, and by how much?
    4. **What should be funded** within the budget, and in which order?
    """)
    return


@app.cell
def _():
    path = study_choice()
    scenario, set_scenario = mo.state(None)
    told, set_told = mo.state(None)
    own = {}
    return own, path, scenario, set_scenario, set_told, told


@app.cell
def _(path):
    path if is_choice(path) else None
    return


@app.cell
def _(path):
    bench = attempt(lambda: open_bench(path.value))
    heading_html(bench)
    return (bench,)


@app.cell
def _(bench, own, path, scenario):
    desk = attempt(lambda: put(bench, of_study(path.value, scenario()), own))
    chosen = choice_field(bench, desk)
    limits = limit_fields(bench, desk)
    said_html(warnings=desk.notes) if desk.notes else None
    return chosen, desk, limits


@app.cell
def _(bench, chosen, desk):
    mo.stop(not chosen.value, said_html("Choose at least one initiative."))
    which = set_field(bench, desk, chosen.value)
    return (which,)


@app.cell
def _(bench, desk, which):
    before = bench.setting(which.value, desk.settings)
    fields = setting_fields(bench, before)
    return before, fields


@app.cell
def _(chosen):
    chosen
    return


@app.cell
def _():
    view, set_view = mo.state(VIEWS[0])
    views = view_buttons(set_view)
    view_bar(views)
    return view, views


@app.cell
def _(view):
    view_mark(view())
    return


@app.cell
def _(fields, view, which):
    mo.stop(view() != "Try")
    controls(which, fields)
    return


@app.cell
def _(before, bench, chosen, desk, fields, which):
    setting = attempt(lambda: read_setting(fields.value, before, bench.initiatives[which.value].cost))
    settings = desk.put(which.value, setting)
    together = {name: bench.setting(name, settings) for name in chosen.value}
    return setting, settings, together


@app.cell
def _(bench, setting, view, which):
    mo.stop(view() != "Try")
    attempt(lambda: one_html(bench, which.value, setting))
    return


@app.cell
def _(bench, together, view):
    mo.stop(view() != "Try")
    attempt(lambda: together_html(bench, set_worth(bench, together), together))
    return


@app.cell
def _(bench, chosen, view):
    mo.stop(view() != "Try")
    overview_html(bench, chosen.value)
    return


@app.cell
def _(bench, told):
    told()
    beside = compare_field(bench)
    return (beside,)


@app.cell
def _(beside, view):
    mo.stop(view() != "Compare")
    beside
    return


@app.cell
def _(bench, beside, together, view):
    mo.stop(view() != "Compare")
    sets, uncounted = attempt(lambda: compared(bench, beside.value, together))
    mo.stop(len(sets) < FEWEST, alone_html(bench, sets, uncounted))
    rows = attempt(lambda: compare_sets(sets, bench.currency))
    mo.vstack(
        [
            *([said_html(warnings=uncounted)] if uncounted else []),
            comparison_html(rows, members_of(bench, sets), bench.currency, bench.months),
            mo.hstack(
                [
                    mo.download(lambda: comparison_csv(rows), filename="scenarios.csv", label="Table as CSV"),
                    mo.download(
                        lambda: comparison_png(rows, bench.currency, bench.months),
                        filename="scenarios.png",
                        label="Chart as PNG",
                    ),
                ],
                justify="start",
            ),
        ]
    )
    return


@app.cell
def _(bench):
    ask = mo.ui.run_button(label=asking(len(bench.initiatives)))
    return (ask,)


@app.cell
def _(ask, bench, limits, view):
    mo.stop(view() != "Fund")
    grid(*limits.elements.values(), *([ask] if len(bench.initiatives) > AT_ONCE else []))
    return


@app.cell
def _(ask, bench, desk, limits, settings, view):
    mo.stop(view() != "Fund")
    mo.stop(len(bench.initiatives) > AT_ONCE and not ask.value)
    with mo.status.spinner(f"Choosing among {len(bench.initiatives)} initiatives") as waiting:
        funded = attempt(
            lambda: funded_html(
                bench,
                settings,
                read_limits(limits.value, desk.funding(bench)),
                lambda step: waiting.update(subtitle=step),
            )
        )
    funded
    return


@app.cell
def _(desk):
    name = mo.ui.text(
        value=desk.loaded.name if desk.loaded else "", label="Name of this scenario", max_length=80, full_width=True
    )
    pressed = mo.ui.run_button(label="Save")
    return name, pressed


@app.cell
def _(name, pressed, view):
    mo.stop(view() != "Save and export")
    mo.vstack([name, pressed])
    return


@app.cell
def _(bench, desk, limits, name, path, pressed, set_told, together):
    mo.stop(not pressed.value)
    with mo.status.spinner("Saving and recording"):
        saying = attempt(
            lambda: save(bench, desk, name.value, together, read_limits(limits.value, desk.funding(bench)))
        )
    set_told((path.value, saying.sentence))
    return


@app.cell
def _(bench, told):
    told()
    saved, unread = load_field(bench)
    load = mo.ui.run_button(label="Load")
    return load, saved, unread


@app.cell
def _(load, path, saved, told, unread, view):
    mo.stop(view() != "Save and export")
    mo.vstack([said_html(*filter(None, [of_study(path.value, told())]), warnings=unread), saved, load])
    return


@app.cell
def _(load, path, saved, set_scenario):
    mo.stop(not load.value or saved.value is None)
    set_scenario((path.value, saved.value))
    return


@app.cell
def _(bench, together, view):
    mo.stop(view() != "Save and export")
    mo.hstack(
        [
            mo.download(
                lambda: settings_csv(bench, together), filename="initiatives.csv", label="Settings and values as CSV"
            ),
            mo.download(lambda: report_file(bench), filename="report.html", label="Report of the study"),
        ],
        justify="start",
    )
    return


if __name__ == "__main__":
    app.run()
