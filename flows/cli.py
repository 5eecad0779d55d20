"""The command line: ``journeylift COMMAND``. It imports nothing heavy before a command runs."""

import atexit
import logging
import os
import sys
import time
import traceback
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import App, CycloptsError, Parameter

from features.errors import AlarmError, JourneyliftError, LeakError
from flows.machine_faults import machine_fault

if TYPE_CHECKING:
    from flows.storage import Workspace

__all__ = ["app", "main"]

USAGE: Final = 64
UNEXPECTED: Final = 70
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141

app = App(
    name="journeylift",
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
    version=lambda: version("journeylift"),
    help="""From customer events to scored customers, drivers of churn and revenue,
and initiatives compared in money.

See it work on a made-up company, then start on your own data:

    journeylift demo
    journeylift init my-company
    journeylift check --study my-company/study.yaml

Every command first runs what it needs and finds missing or stale, and says so.

Exit codes: 2 study or initiatives file, 3 tables, 4 leak, 5 nothing to learn
from, 6 store, 7 models, 8 not possible with this study, 9 scores need action
(monitor --fail-on-act), 64 command line, 70 unexpected, 130 interrupted.""",
)


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Common:
    """Options that every command on a study takes."""

    study: Annotated[Path, Parameter(help="The study file.")] = Path("study.yaml")
    json: Annotated[
        str | None,
        Parameter(help="Write the result as JSON to this file; - writes it to stdout.", allow_leading_hyphen=True),
    ] = None
    verbose: Annotated[
        bool, Parameter(help="Show what Prefect and MLflow say, and where an error arose.", negative="")
    ] = False


Seed = Annotated[int, Parameter(help="Seed of everything random; the same seed gives the same numbers.")]
_DEFAULTS: Final = Common()


@app.command(sort_key=1)
def init(directory: Path) -> None:
    """Write a commented study.yaml and initiatives.yaml to start from.

    Existing files are never overwritten. Edit the study until `journeylift check` is content.

    For example:

        journeylift init my-company

    Parameters
    ----------
    directory : Path
        Folder for the two files; made when missing.
    """
    from features.templates import write_templates  # noqa: PLC0415

    write_templates(directory)
    _tell(
        f"Wrote study.yaml and initiatives.yaml in {directory}. Next: journeylift check --study {directory}/study.yaml"
    )


@app.command(sort_key=2)
def check(
    *,
    common: Common = _DEFAULTS,
    leaks: Annotated[bool, Parameter(negative="")] = False,
    cutoffs: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = (),
    planned: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = (),
    sample: int | None = None,
) -> None:
    """Read the sources and say what was found, and what is wrong with it.

    Findings first, worst on top, each with what to do. Then rows, customers, dates,
    journeys, measures, rows set aside with the reason. All of it, month by month,
    is on one page, check.html in the study's store. With
    --leaks, instead: whether any feature knows the future.

    For example:

        journeylift check
        journeylift check --study my-company/study.yaml --json -
        journeylift check --leaks
        journeylift check --leaks --cutoffs 2025-01-01 2025-06-01

    Parameters
    ----------
    leaks : bool
        Lay the sources out as they stood at some cutoffs, and compare every feature with that of the whole extract.
        Ends with code 4 if any differs. Takes about as long as a layout for each cutoff.
    cutoffs : tuple of str
        Cutoffs for --leaks (YYYY-MM-DD); three of the study's when left out.
    planned : tuple of str
        Columns that --leaks shall take as known beforehand, such as contracts.end_date.
    sample : int, optional
        About how many customers --leaks shall look at; all when left out.
    """
    if leaks or cutoffs or planned or sample is not None:
        _on_study("leaks", common, cutoffs=cutoffs, planned=planned, sample=sample)
    else:
        _on_study("check", common)


@app.command(sort_key=3)
def company(
    *,
    customers: int = 20_000,
    seed: Seed = 7,
    out: Path = Path("company"),
    hidden_confounding: Annotated[float, Parameter(name="--hidden-confounding")] = 0.0,
) -> None:
    """Write the tables, study and initiatives of a made-up company whose true effects are known.

    For example:

        journeylift company --customers 4000 --out /tmp/company
        journeylift train --study /tmp/company/study.yaml

    Parameters
    ----------
    customers : int
        Customers over the two and a half years.
    out : Path
        Folder for the files.
    hidden_confounding : float
        How much loyalty, which no table shows, also moves service quality. 0 means that effects can be learned.
    """
    from flows import console  # noqa: PLC0415
    from flows.company import make_company  # noqa: PLC0415

    console.set_up()
    make_company(out, customers=customers, seed=seed, hidden_confounding=hidden_confounding)


@app.command(sort_key=4)
def features(*, common: Common = _DEFAULTS, backfill: tuple[str, str] | None = None) -> None:
    """Build the panel: what was known about every customer at every cutoff, and what happened next.

    Only what new or late rows touch is built again. store/dictionary.csv says what
    each feature is, with its unit, range and share missing.

    For example:

        journeylift features
        journeylift features --study my-company/study.yaml --json features.json
        journeylift features --backfill 2023-01-01 2024-06-01

    Parameters
    ----------
    backfill : tuple of str, optional
        First and last date (YYYY-MM-DD) of cutoffs to add to the panel, some at a time; after an interruption the same
        command goes on where it was.
    """
    _on_study("features", common, backfill=backfill)


@app.command(sort_key=5)
def train(
    *,
    common: Common = _DEFAULTS,
    seed: Seed = 0,
    promote: Literal["auto", "never"] = "auto",
    allow: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = (),
    budget: float | None = None,
) -> None:
    """Fit and check the churn and revenue models, and register the better ones.

    Tested only on cutoffs after everything that a model has learned from, against
    simple baselines. The better candidate becomes champion in MLflow if, on the same
    rows, it predicts better than the present one, or as well and better calibrated;
    else challenger. Features that know too much are left out and named.

    For example:

        journeylift train
        journeylift train --promote never --json train.json
        journeylift train --allow support__last_status__last

    Parameters
    ----------
    promote : str
        auto, or never: the new versions are challengers whatever they can do.
    allow : tuple of str
        Features to use although they seem to know too much.
    budget : float, optional
        Seconds for trying settings of the candidates; all are tried when left out. The same seed gives the same models
        unless the budget is spent.
    """
    _on_study("train", common, seed=seed, promote=promote, allow=allow, budget=budget)


@app.command(sort_key=5)
def models(*, common: Common = _DEFAULTS) -> None:
    """List the model versions: aliases, dates, kind, out-of-time metrics, features and data.

    For example:

        journeylift models
        journeylift models --json -
    """
    _on_study("models", common)


@app.command(sort_key=5)
def rollback(
    outcome: str | None = None,
    *,
    common: Common = _DEFAULTS,
    to: str | None = None,
    force: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Let the champion before the present one be champion again.

    A version that was trained on other features than the panel holds is refused, as it
    could not score.

    For example:

        journeylift rollback
        journeylift rollback churn --to 3

    Parameters
    ----------
    outcome : str, optional
        churn or revenue; both when left out.
    to : str, optional
        The version; the champion before the present one when left out.
    force : bool
        Go back also to a version that cannot score the panel as it is.
    """
    _on_study("rollback", common, outcome=outcome, to=to, force=force)


@app.command(sort_key=5)
def retrain(
    *,
    common: Common = _DEFAULTS,
    if_act: Annotated[bool, Parameter(name="--if-act", negative="")] = False,
    seed: Seed = 0,
    budget: float | None = None,
) -> None:
    """Train on what has come true since, promote what is better, and say which version scores next.

    New versions are compared with the champions as `journeylift train` does it. A
    version that is not better does not score. With --if-act, only where monitoring
    says act for what newer rows can mend: predictions that came true worse than
    promised. A changed unit, stale tables or a broken column want a person: a model
    would learn them as if they were true.

    For example:

        journeylift retrain
        journeylift retrain --if-act --json -

    Parameters
    ----------
    if_act : bool
        Ask the last monitoring first, and train at most once on the same outcomes, whoever asked for it.
    budget : float, optional
        Seconds for trying settings of the candidates; all are tried when left out.
    """
    _on_study("retrain", common, if_act=if_act, seed=seed, budget=budget)


@app.command(sort_key=6)
def explain(*, common: Common = _DEFAULTS, seed: Seed = 0) -> None:
    """Say what goes along with churn and revenue (association), and what would change them (effect).

    For example:

        journeylift explain
        journeylift explain --study my-company/study.yaml --json drivers.json
    """
    _on_study("explain", common, seed=seed)


@app.command(sort_key=6)
def premium(
    *,
    common: Common = _DEFAULTS,
    seed: Seed = 0,
    allow: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = (),
    thorough: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Say whether whole journeys predict churn better than touchpoints one by one.

    Both views learn from the same early cutoffs and are tested on the same later
    ones. One knows the customer and each touchpoint by itself; the other knows
    order, memory, endings and effort of journeys as well. The gain is given in
    log loss, AUC and money, each with a 90 % interval. A yes needs the gain in
    log loss to be above zero against every touchpoint model; else it is
    undecided, or no gain that matters. About a minute on the demo; --thorough
    takes several.

    For example:

        journeylift premium
        journeylift premium --study my-company/study.yaml --json -
        journeylift premium --thorough

    Parameters
    ----------
    allow : tuple of str
        Features to use although they seem to know too much.
    thorough : bool
        Use as many rows as train does (JOURNEYLIFT_TRAINING_ROWS) instead of 20,000, and try whole journeys, too, in
        every kind of model. With few rows the journey view is at a disadvantage: it has more to learn.
    """
    _on_study("premium", common, seed=seed, allow=allow, thorough=thorough)


@app.command(sort_key=7)
def simulate(*, common: Common = _DEFAULTS, initiatives: Path | None = None, seed: Seed = 0) -> None:
    """Compare initiatives: churn, revenue, cost, net present value and how sure it is.

    For example:

        journeylift simulate
        journeylift simulate --initiatives plans/autumn.yaml --json -

    Parameters
    ----------
    initiatives : Path, optional
        The initiatives file; initiatives.yaml beside the study when left out.
    """
    _on_study("simulate", common, seed=seed, initiatives=None if initiatives is None else str(initiatives))


@app.command(sort_key=7)
def portfolio(
    *,
    common: Common = _DEFAULTS,
    initiatives: Path | None = None,
    budget: float | None = None,
    cash: float | None = None,
    aversion: float | None = None,
    seed: int | None = None,
) -> None:
    """Choose which initiatives to fund together, when to start them, and which to try first.

    Within the budget, capacities, needs and exclusions of the initiatives file. Told
    are the set, its value with interval, how far it can be from the best, what each
    limit costs and each budget buys, how sure the choice is, an order of starts that
    early wins pay for, and what a trial would be worth. It reads the last simulation
    of the same file, or simulates first.

    For example:

        journeylift portfolio --budget 200000
        journeylift portfolio --initiatives plans/autumn.yaml --cash 50000 --json -

    Parameters
    ----------
    initiatives : Path, optional
        The initiatives file; initiatives.yaml beside the study when left out.
    budget : float, optional
        Largest present value of all costs; that of the file when left out.
    cash : float, optional
        Money at hand when initiatives are started; that of the file, or the budget, when left out.
    aversion : float, optional
        Weight of the worst draws beside the mean, 0 to 1; that of the file when left out.
    seed : int, optional
        Of the simulation; that of the last one when left out.
    """
    given = None if initiatives is None else str(initiatives)
    _on_study("portfolio", common, initiatives=given, budget=budget, cash=cash, aversion=aversion, seed=seed)


def _two_to_six(_: object, plans: tuple[str, ...]) -> None:
    if not 2 <= len(plans) <= 6:
        raise ValueError(f"{len(plans)} given. Expected two to six. For example: journeylift compare A B")


@app.command(sort_key=7)
def compare(
    plans: Annotated[tuple[str, ...], Parameter(validator=_two_to_six)],
    /,
    *,
    common: Common = _DEFAULTS,
    seed: int | None = None,
) -> None:
    """Hold two to six plans against the first: what each does more or less, and how sure that is.

    Each is an initiatives file or a saved scenario, the id of a simulation in MLflow
    or of one of its initiatives, or the name of an initiative that was simulated
    last. Net present value, customers who leave, revenue and cost over the study's
    months, with 90 % intervals of the differences. The same draws are used for all,
    so what plans have in common cancels; where study, data or seed differ it says
    so, and takes the draws as independent. Charts and tables are on one page,
    compare.html in the study's store.

    For example:

        journeylift compare initiatives.yaml plans/autumn.yaml
        journeylift compare faster-phone-support quicker-chat --json -
        journeylift compare 6fab5ac8f8874a969113f179e4ed7e9e initiatives.yaml

    Parameters
    ----------
    plans : tuple of str
        Two to six files, ids of runs, or names of initiatives; all are held against the first.
    seed : int, optional
        For files that have to be simulated; that of the last simulation when left out.
    """
    _on_study("compare", common, plans=plans, seed=seed)


@app.command(name="app", sort_key=7)
def planner(
    *,
    study: Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative="")] = (Path("study.yaml"),),
    host: str = "127.0.0.1",
    port: int | None = None,
    browser: bool = True,
) -> None:
    """Serve the planner's page: try initiatives with sliders, compare scenarios, choose what to fund.

    It answers from the last simulation, so simulate first. Nothing leaves this
    machine, and no other machine can reach the page unless --host says so. The
    page asks for the token in the address that is printed: open that address
    whole. Scenarios that are saved lie in the folder scenarios beside the study.
    Ctrl-C ends it.

    For example:

        journeylift app
        journeylift app --study my-company/study.yaml --no-browser --port 8080

    Parameters
    ----------
    study : tuple of Path
        The study file, or several to choose from.
    host : str
        Address to listen on; 0.0.0.0 lets others in, with the token.
    port : int, optional
        The first free one from 2718 when left out.
    browser : bool
        Open the page in a browser.
    """
    from flows import console, settings  # noqa: PLC0415

    console.set_up()
    settings.turn_telemetry_off()
    from flows.app import PortTaken, serve  # noqa: PLC0415 (imports marimo, which reads what was just settled)

    try:
        serve([str(one) for one in study], host=host, port=port, browser=browser)
    except PortTaken as error:
        _complain(str(error))
        raise CycloptsError from error


@app.command(sort_key=8)
def score(
    *,
    common: Common = _DEFAULTS,
    cutoff: str | None = None,
    backfill: tuple[str, str] | None = None,
    again: Annotated[bool, Parameter(negative="")] = False,
    stale_anyway: Annotated[bool, Parameter(negative="")] = False,
    revisions: Annotated[bool, Parameter(negative="")] = False,
    now: Annotated[str | None, Parameter(show=False)] = None,
) -> None:
    """Score every customer at risk with the champion models.

    The scores of a cutoff are one folder of Parquet, made once for the same models and
    the same rows, and replaced as a whole: late rows or another champion restate it as
    a further revision, and the earlier ones are kept. Running it again gives the same
    bytes; a second run at the same time is refused. Where the study says so
    (scoring), data that are too old are refused, and scores also go to a database.

    For example:

        journeylift score
        journeylift score --cutoff 2025-06-01 --json -
        journeylift score --backfill 2025-01-01 2025-06-01
        journeylift score --revisions

    Parameters
    ----------
    cutoff : str, optional
        Date (YYYY-MM-DD); the latest cutoff in the data when left out.
    backfill : tuple of str, optional
        First and last date of cutoffs to score, each published when it is done. After an interruption the same command
        goes on where it was; cutoffs whose rows and models are the same are passed over.
    again : bool
        Compute also what is there by the same models from the same rows.
    stale_anyway : bool
        Score data that are older than scoring.freshness in the study allows; that is recorded with the scores.
    revisions : bool
        Instead, list the revisions of all cutoffs, or of --cutoff: why each was made, by which models, where it is.
    now : str, optional
        Take this for the present (ISO 8601) when ages of data are told.
    """
    if revisions:
        _on_study("revisions", common, cutoff=cutoff)
        return
    options = {"backfill": backfill, "again": again, "stale_anyway": stale_anyway, "now": now}
    _on_study("score", common, cutoff=cutoff, **options)


@app.command(name="serve", sort_key=10)
def serve_study(
    *,
    study: Annotated[Path, Parameter(help="The study file.")] = Path("study.yaml"),
    host: str = "127.0.0.1",
    port: int = 4200,
    once: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Score, monitor and retrain by the study's schedule, until Ctrl-C.

    Starts a Prefect server on this machine, or uses the one that PREFECT_API_URL
    names, and runs there: nightly (features, scores, monitoring, and a retraining
    where monitoring calls for one) and retrain. When, says the section schedule of
    the study; without one, scores every Monday at 05:00 and training on the 1st of
    the month at 03:00, in UTC. The server's pages show what ran and what it found.

    Runs go one after the other. What fell due while nobody served is made up for
    once. Ctrl-C and SIGTERM stop a run that is on, then the server, and end with
    code 0; nothing is left half-written.

    For example:

        journeylift serve
        journeylift serve --study my-company/study.yaml --port 4300
        journeylift serve --once

    Parameters
    ----------
    host : str
        Address to listen on. Other than this machine's own it needs PREFECT_SERVER_API_AUTH_STRING=user:password in
        the environment.
    port : int
        Port to listen on.
    once : bool
        Run nightly once, now, and end with its exit code: to see that it works.
    """
    from flows.endings import ends_at_signals  # noqa: PLC0415

    with ends_at_signals("serve: ended. What was complete is kept."):
        _serve_until_ended(study, host=host, port=port, once=once)


def _serve_until_ended(study: Path, *, host: str, port: int, once: bool) -> None:
    from flows import console, settings, storage  # noqa: PLC0415

    console.set_up()
    workspace = storage.open_workspace(study)
    settings.use_server(workspace.store.root)
    from flows.ports import PortTaken  # noqa: PLC0415
    from flows.serve import Unguarded, serve  # noqa: PLC0415 (imports what reads the settings)

    try:
        serve(str(workspace.study_file), host=host, port=port, once=once)
    except (PortTaken, Unguarded) as error:
        _complain(str(error))
        raise CycloptsError from error


@app.command(sort_key=9)
def monitor(
    *,
    common: Common = _DEFAULTS,
    cutoff: str | None = None,
    fail_on_act: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Watch the scores: whether a batch is as usual, and earlier ones came true as promised.

    Compares freshness, volume, features, scores and what arrived last month with the
    cutoffs that the model has learned from. Scores whose outcomes are known by now
    are held against what was promised in training. The verdict: ok, watch (something
    differs), act (something has to be done), each with its reasons.

    For example:

        journeylift monitor
        journeylift monitor --cutoff 2025-06-01 --json -
        journeylift monitor --fail-on-act || mail -s "scores need a look" me@example.com

    Parameters
    ----------
    cutoff : str, optional
        Date (YYYY-MM-DD) of a scored cutoff; the latest one when left out.
    fail_on_act : bool
        End with code 9 if the verdict is act; what was found is written all the same.
    """
    _on_study("monitor", common, cutoff=cutoff, fail_on_act=fail_on_act)


@app.command(sort_key=10)
def report(*, common: Common = _DEFAULTS, out: Path | None = None) -> None:
    """Write the latest results as one HTML file that opens from disk.

    For example:

        journeylift report --out report.html

    Parameters
    ----------
    out : Path, optional
        The file; report.html in the study's store when left out.
    """
    _on_study("report", common, out=None if out is None else str(out))


@app.command(sort_key=0)
def demo(
    *, customers: int = 20_000, seed: Seed = 7, out: Path = Path("demo"), json: str | None = None, verbose: bool = False
) -> None:
    """Run everything on a made-up company and write a report: features, models, drivers, initiatives, scores.

    For example:

        journeylift demo
        journeylift demo --customers 4000 --out /tmp/demo

    Parameters
    ----------
    customers : int
        Customers of the made-up company.
    out : Path
        Folder for the company and all results.
    json : str, optional
        Write the comparison of initiatives as JSON to this file.
    verbose : bool
        Show what Prefect and MLflow say.
    """
    from flows import console  # noqa: PLC0415
    from flows.company import make_company  # noqa: PLC0415

    console.set_up(results_on_stdout=json != "-")
    make_company(out, customers=customers, seed=seed)
    _on_study("demo", Common(out / "study.yaml", json, verbose), seed=seed)


# Command -> module and function under flows, and the result that --json hands over.
_STEPS: Final = {
    "check": ("check", "check"),
    "leaks": ("leak_check", "leak_check"),
    "features": ("build_features", "build_features"),
    "train": ("train", "train"),
    "models": ("registry", "list_models"),
    "rollback": ("registry", "roll_back"),
    "retrain": ("retrain", "retrain"),
    "explain": ("explain", "explain"),
    "premium": ("premium", "premium"),
    "simulate": ("simulate", "simulate"),
    "portfolio": ("portfolio", "portfolio"),
    "compare": ("compare", "compare"),
    "score": ("score", "score"),
    "monitor": ("monitor", "monitor"),
    "revisions": ("score_told", "list_revisions"),
    "report": ("results", "report"),
    "demo": ("demo", "demo"),
}

_WITH_PLANS: Final = ("simulate", "portfolio")
_OVER_MONTHS: Final = ("portfolio", "compare")
_OVERRIDING: Final = ("budget", "cash", "aversion")
_WITHOUT_FLOW: Final = ("check", "leaks", "models", "rollback", "report", "revisions")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and turn every way of failing into an exit code and a message without a traceback.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line; ``sys.argv`` when left out.

    Returns
    -------
    int
        0, the code of the error's class, 64 (command line), 70 (unexpected) or 130 (interrupted).
    """
    if arguments is not None:
        return _run(list(arguments))
    codes: list[int] = []
    atexit.register(_leave, codes)
    codes.append(_run(sys.argv[1:]))
    if codes[0] and "--verbose" not in sys.argv:
        _be_silent()
    return codes[0]


def _be_silent() -> None:
    """Let nothing follow the message of a command that failed, up to the end of the process.

    Prefect's EventsWorker sends from a thread of its own. Where the interpreter ends while it still connects, it logs
    that it "failed with 12 pending items", and asyncio logs the future that was lost. Both are of no use to anybody.
    """
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    sys.unraisablehook = lambda _: None


def _leave(codes: list[int]) -> None:
    """End the process as the last of its exit functions.

    DuckDB complains on stderr about leaked objects whenever an interpreter that ran a Prefect flow is torn down.
    """
    if codes:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(codes[0])


def _run(given: list[str]) -> int:
    """Run a command and give its exit code."""
    try:
        app(given, exit_on_error=False, result_action="return_value")
    except CycloptsError:
        return USAGE
    except JourneyliftError as error:
        _complain(error.message)
        return error.exit_code
    except KeyboardInterrupt:
        _complain("interrupted. What was complete is kept; the same command goes on from there.")
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return BROKEN_PIPE
    except Exception as error:  # noqa: BLE001 (the last place where a person can be told)
        known = machine_fault(error)
        _complain(known.message if known else _unexpected(error))
        return known.exit_code if known else UNEXPECTED
    return 0


def _on_study(step: str, common: Common, **options: object) -> None:
    """Settle the environment for a study's store, then import and run a step."""
    from flows import console, settings, storage  # noqa: PLC0415

    verbose = common.verbose or settings.Settings().verbose
    console.set_up(results_on_stdout=common.json != "-", verbose=verbose)
    workspace = storage.open_workspace(common.study)
    _read_first(step, workspace, options)
    settings.use_store(workspace.store.root, verbose=verbose)
    module, name = _STEPS[step]
    server = None if step in _WITHOUT_FLOW else import_module("flows.steps").start_server()
    run: Any = getattr(import_module(f"flows.{module}"), name)
    if server is not None:
        server.join()
    try:
        run(str(workspace.study_file), **options)
    except (AlarmError, LeakError):
        _hand_over(workspace, step, common.json)
        raise
    _hand_over(workspace, step, common.json)


def _read_first(step: str, workspace: "Workspace", options: Mapping[str, Any]) -> None:
    """Tell what a flat table cannot answer and mistakes in the initiatives file at once, before Prefect starts."""
    if step in _OVER_MONTHS:
        from flows.plannable import refuse_flat  # noqa: PLC0415

        refuse_flat(workspace)
    if step not in _WITH_PLANS:
        return
    from flows.plans import overridden, read_plans  # noqa: PLC0415

    plans = read_plans(workspace, options["initiatives"])
    overridden(plans.funding, {name: options[name] for name in _OVERRIDING if name in options})


def _hand_over(workspace: "Workspace", step: str, where: str | None) -> None:
    """Copy the result of a step to where it is asked for, if it is."""
    if where is None:
        return
    from flows.storage import write_bytes  # noqa: PLC0415

    content = workspace.store.result("simulate" if step == "demo" else step).read_bytes()
    if where == "-":
        sys.stdout.write(content.decode())
    else:
        write_bytes(Path(where).expanduser().resolve(), content)


def _unexpected(error: Exception) -> str:
    """Keep the whole story in a file, and say the short one."""
    from tempfile import mkstemp  # noqa: PLC0415

    from flows.redaction import environment_secrets, redacted  # noqa: PLC0415

    secrets = environment_secrets()
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    said = redacted(f"{type(error).__name__}: {error}", secrets)
    try:
        # A name that nobody can foresee, and for its owner alone: it may hold values of rows.
        handle, path = mkstemp(prefix=f"journeylift-error-{stamp}-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(redacted("".join(traceback.format_exception(error)), secrets))
    except OSError as why:
        return f"{said}\nThis is a fault in journeylift. No log could be written: {why.strerror}."
    return f"{said}\nThis is a fault in journeylift, not in your data. All of it is in {path}"


def _complain(message: str) -> None:
    sys.stderr.write(f"journeylift: {message}\n")


def _tell(message: str) -> None:
    sys.stdout.write(f"{message}\n")


if __name__ == "__main__":
    sys.exit(main())
