import marimo

__generated_with = "0.25.2"
app = marimo.App(width="medium", app_title="Read drivers")

with app.setup:
    import marimo as mo

    from flows.cells import attempt, open_study, show, study_field
    from flows.driver_section import association_section
    from flows.report import tidied
    from flows.report_sections import effects_section
    from flows.results import gather


@app.cell(hide_code=True)
def _():
    mo.md("""
    # Read drivers

    1. **Association**: how much of an outcome goes along with which journey and touchpoint, and how sure is that?
    2. **Ratings**: which touchpoints matter and are badly rated, what do low and very good ratings go along with?
    3. **Effect**: what would the outcome do if a measure improved?

    The first two say where to look, the third what would change. They are two tables on purpose: a useless measure can
    have a large share, because those who meet it differ in other ways.
    """)
    return


@app.cell
def _():
    path = study_field()
    path
    return (path,)


@app.cell
def _(path):
    workspace = attempt(lambda: open_study(path.value, "explain"))
    data = tidied(gather(workspace))
    association = association_section(data)
    return association, data


@app.cell(hide_code=True)
def _(association):
    mo.md(f"""
    ## {association.title}

    How to read it:

    - **R² first.** Shares divide what all drivers together explain. A large share of little is little.
    - **Intervals and tiers.** Drivers of one tier cannot be told apart; their order in the table is luck.
    - **Quality + use.** How much is about how good it was, and how much about whether it applied at all.
    - **Penalty and reward.** Where only low ratings matter, repair; where only top ratings do, polish.
    - **Warnings** in colour below a driver come before its number.
    """)
    return


@app.cell
def _(association):
    show(association)
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Effects, for comparison

    Estimated with what comes before in the journey held fixed, never what follows from it; hollow diamonds show what
    correlation would have promised.
    """)
    return


@app.cell
def _(data):
    show(effects_section(data))
    return


@app.cell(hide_code=True)
def _():
    mo.md("""
    ## Further

    `data.drivers` is the whole table of drivers and `data.effects` that of effects, one row an estimate, with all
    intervals. How shares are made: docs/explanation/association.md, driver-table.md; effects: effects.md. What an
    improvement is worth in money: `journeylift simulate`.
    """)
    return


if __name__ == "__main__":
    app.run()
