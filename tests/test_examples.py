"""The examples on real public data, end to end, on a part of the customers; skipped where the data are absent."""

import contextlib
import io
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from features.contract import PanelContract, read_contract
from features.snapshot import DAY, Snapshot, iso
from flows import cli
from flows.storage import open_workspace
from flows.tracking import find_champion, open_tracker

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("JOURNEYLIFT_DATA") or ROOT.parent / "shared" / "data")

# The column that names customers, and of how many one is kept: enough to learn from, few enough to be quick.
KEPT = {
    "completejourney": ("household_id", 4),
    "bpic2012": ("case_id", 3),
    "ibm_telco": ("Customer ID", 1),
    "sfo_airport": ("respnum", 1),
}
FOLDER = {"ibm_telco": "ibm_telco_ext", "sfo_airport": "sfo_survey"}
COMMANDS = {
    "completejourney": ("check", "train", "explain", "simulate", "score", "report"),
    "bpic2012": ("check", "train", "explain", "simulate", "score", "report"),
    "ibm_telco": ("check", "train", "explain", "simulate", "score", "report"),
    "sfo_airport": ("check", "explain", "report"),
}
EVENTFUL = ("completejourney", "bpic2012")

# What had happened by a cutoff, table by table; tables without an entry hold no dates.
BY = {
    "completejourney": {
        "transactions": "transaction_timestamp <= '{at}'",
        "coupon_redemptions": "redemption_date < '{at}'",
        "campaign_descriptions": "start_date <= '{at}'",
    },
    "bpic2012": {"events": "\"time:timestamp\" <= '{at} 00:00+00'", "cases": "REG_DATE <= '{at} 00:00+00'"},
}


@dataclass(frozen=True, slots=True)
class Ran:
    """An example after its commands."""

    name: str
    folder: Path
    data: Path
    codes: Mapping[str, int]
    said: str

    @property
    def contract(self) -> PanelContract:
        return read_contract(self.folder / "store")

    def result(self, step: str) -> Any:
        return json.loads((self.folder / "store" / "results" / f"{step}.json").read_text("utf-8"))

    def panel(self, cutoff: str) -> pd.DataFrame:
        return _read(self.folder / "store" / "panel" / f"cutoff_date={cutoff}")


def _read(folder: Path) -> pd.DataFrame:
    frame: pd.DataFrame = pq.read_table(folder / "part-0.parquet", partitioning=None).to_pandas()
    return frame


def _part(name: str, out: Path, where: Mapping[str, str] | None = None) -> Path:
    """Write a part of the data of an example as files of the same names."""
    source = DATA / FOLDER.get(name, name)
    if not source.is_dir():
        pytest.skip(f"the public data are not at {source}; set JOURNEYLIFT_DATA to their folder")
    folder = out / source.name
    folder.mkdir(parents=True)
    key, every = KEPT[name]
    with _utc() as con:
        for path in sorted(source.glob("*.parquet")):
            conditions = [(where or {}).get(path.stem, "true")]
            if every > 1 and key in [row[0] for row in con.sql(f"DESCRIBE FROM '{path}'").fetchall()]:
                conditions.append(f"CAST({key} AS BIGINT) % {every} = 0")
            con.sql(f"COPY (FROM '{path}' WHERE {' AND '.join(conditions)}) TO '{folder / path.name}'")
    return out


@contextlib.contextmanager
def _utc() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open DuckDB without our code; times of the clock are UTC."""
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        yield con


def _journeylift(data: Path, *arguments: str) -> tuple[int, str]:
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        patch.setenv("JOURNEYLIFT_DATA", str(data))
        code = cli.main(list(arguments))
    return code, said.getvalue()


def _ran(name: str, out: Path) -> Ran:
    data = _part(name, out / "data")
    folder = out / name
    shutil.copytree(ROOT / "examples" / name, folder, ignore=shutil.ignore_patterns("store"))
    told = {step: _journeylift(data, step, "--study", str(folder / "study.yaml")) for step in COMMANDS[name]}
    codes = {step: code for step, (code, _) in told.items()}
    return Ran(name, folder, data, codes, "\n".join(said for _, said in told.values()))


@pytest.fixture(scope="module", params=EVENTFUL)
def events(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """An example with dated events on which every command has run."""
    return _ran(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def telco(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The flat example on which every command has run that a flat table allows."""
    return _ran("ibm_telco", tmp_path_factory.mktemp("telco"))


@pytest.fixture
def raw(events: Ran) -> Iterator[duckdb.DuckDBPyConnection]:
    """The files of an example as views, without our code."""
    with _utc() as con:
        for path in (events.data / events.name).glob("*.parquet"):
            con.sql(f"CREATE VIEW {path.stem} AS FROM '{path}'")
        yield con


def _silences(con: duckdb.DuckDBPyConnection, cutoff: str) -> pd.DataFrame:
    """Households that bought within 42 days before a cutoff: who is silent for 42 days from then on, and who spent."""
    pauses = """
        SELECT household_id, transaction_timestamp AS bought, lead(transaction_timestamp) OVER (
            PARTITION BY household_id ORDER BY transaction_timestamp) AS following
        FROM (SELECT household_id, transaction_timestamp FROM transactions
              GROUP BY household_id, transaction_timestamp HAVING sum(sales_value) > 0)"""
    return con.sql(f"""
        WITH pauses AS ({pauses}),
        risk AS (SELECT household_id FROM transactions WHERE transaction_timestamp <= '{cutoff}' GROUP BY 1
                 EXCEPT SELECT household_id FROM pauses WHERE bought + INTERVAL 42 DAY <= '{cutoff}'
                 AND coalesce(following, 'infinity') > '{cutoff}'),
        silent AS (SELECT DISTINCT household_id FROM pauses
                   WHERE bought + INTERVAL 42 DAY > '{cutoff}' AND coalesce(following, 'infinity') >= bought
                   + INTERVAL 42 DAY AND bought + INTERVAL 42 DAY <= TIMESTAMP '{cutoff}' + INTERVAL 91 DAY),
        spent AS (SELECT household_id, sum(sales_value) AS amount FROM transactions
                  WHERE transaction_timestamp > '{cutoff}'
                  AND transaction_timestamp <= TIMESTAMP '{cutoff}' + INTERVAL 91 DAY GROUP BY 1)
        SELECT CAST(household_id AS VARCHAR) AS customer_id, s.household_id IS NOT NULL AS is_churned,
               coalesce(amount, 0) AS revenue
        FROM risk LEFT JOIN silent s USING (household_id) LEFT JOIN spent USING (household_id) ORDER BY 1""").df()


def _undecided(con: duckdb.DuckDBPyConnection, cutoff: str) -> pd.DataFrame:
    """Applications undecided at a cutoff: which are cancelled within 14 days, and what is lent."""
    ends = "'A_ACTIVATED', 'A_APPROVED', 'A_REGISTERED', 'A_DECLINED', 'A_CANCELLED'"
    return con.sql(f"""
        WITH ends AS (SELECT case_id, "concept:name" AS name, "time:timestamp" AS at_time FROM events
                      WHERE "concept:name" IN ({ends})),
        risk AS (SELECT case_id, AMOUNT_REQ FROM cases ANTI JOIN (SELECT case_id FROM ends
                 WHERE at_time <= '{cutoff}') USING (case_id) WHERE REG_DATE <= '{cutoff}'),
        next AS (SELECT case_id, bool_or(name = 'A_CANCELLED') AS cancelled, bool_or(name = 'A_ACTIVATED') AS lent
                 FROM ends WHERE at_time > '{cutoff}'
                 AND at_time <= TIMESTAMPTZ '{cutoff} 00:00+00' + INTERVAL 14 DAY GROUP BY 1)
        SELECT case_id AS customer_id, coalesce(cancelled, false) AS is_churned,
               CASE WHEN lent THEN AMOUNT_REQ ELSE 0 END AS revenue
        FROM risk LEFT JOIN next USING (case_id) ORDER BY 1""").df()


COUNTED = {"completejourney": _silences, "bpic2012": _undecided}


def test_every_command_succeeds(events: Ran) -> None:
    assert events.codes == dict.fromkeys(COMMANDS[events.name], 0), events.said
    assert (events.folder / "store" / "report.html").stat().st_size > 10_000


def test_risk_set_and_outcomes_are_those_counted_from_the_raw_files(
    events: Ran, raw: duckdb.DuckDBPyConnection
) -> None:
    for cutoff in (events.contract.matured[0], events.contract.matured[-1]):
        wanted = COUNTED[events.name](raw, iso(cutoff))
        found = events.panel(iso(cutoff)).sort_values("customer_id", ignore_index=True)
        assert found["customer_id"].tolist() == wanted["customer_id"].tolist()
        assert found["is_churned"].tolist() == wanted["is_churned"].astype(float).tolist()
        np.testing.assert_allclose(found["revenue"], wanted["revenue"].astype(float), rtol=1e-9, atol=1e-9)


def test_outcomes_exist_only_where_their_window_has_passed(events: Ran) -> None:
    study = open_workspace(events.folder / "study.yaml").study
    contract = events.contract
    snapshot = Snapshot.of(study.snapshot)
    rows = 0
    for cutoff in contract.cutoffs:
        panel = events.panel(iso(cutoff))
        has_passed = snapshot.matures_at(cutoff) <= contract.data_end
        assert panel["is_mature"].eq(has_passed).all()
        assert panel[["is_churned", "revenue"]].notna().all(axis=None) == has_passed
        rows += len(panel) * has_passed
    assert events.result("train")["rows"] == rows
    assert contract.cutoffs[-1] > contract.data_end - snapshot.horizon_days * DAY


def test_features_are_the_same_when_the_files_end_at_the_cutoff(events: Ran, tmp_path: Path) -> None:
    cutoff = iso(events.contract.matured[-1])
    data = _part(events.name, tmp_path / "data", {k: v.format(at=cutoff) for k, v in BY[events.name].items()})
    study = tmp_path / "study.yaml"
    shutil.copy(events.folder / "study.yaml", study)
    code, said = _journeylift(data, "features", "--study", str(study))
    assert code == 0, said
    names = [feature.name for feature in read_contract(tmp_path / "store").features]
    assert set(names) <= {feature.name for feature in events.contract.features}
    assert len(names) > 0.8 * len(events.contract.features)
    columns = ["customer_id", *names]
    pd.testing.assert_frame_equal(
        _read(tmp_path / "store" / "panel" / f"cutoff_date={cutoff}")[columns], events.panel(cutoff)[columns]
    )


def test_everybody_at_risk_at_the_latest_cutoff_is_scored_once(events: Ran) -> None:
    latest = iso(events.contract.cutoffs[-1])
    scores = _read(events.folder / "store" / "scores" / f"cutoff_date={latest}")
    assert sorted(scores["customer_id"]) == sorted(events.panel(latest)["customer_id"])
    assert scores["customer_id"].is_unique
    assert scores["churn_risk"].between(0, 1).all()
    assert scores["expected_revenue"].notna().all()


def test_churn_is_predicted_better_than_by_the_baselines(events: Ran) -> None:
    churn = events.result("train")["outcomes"]["churn"]
    assert churn["beats_baseline"], churn["sentence"]
    assert churn["leaks"] == []


def test_effects_and_initiatives_have_intervals_and_numbers(events: Ran) -> None:
    study = open_workspace(events.folder / "study.yaml").study
    effects = pd.DataFrame(events.result("explain")["effects"])
    assert set(effects["measure"]) == {measure.name for measure in study.measures if measure.is_controllable}
    initiatives = pd.DataFrame(events.result("simulate")["initiatives"])
    written = yaml.safe_load((events.folder / "initiatives.yaml").read_text("utf-8"))["initiatives"]
    assert initiatives["name"].tolist() == [one["name"] for one in written]
    for table in (effects, initiatives):
        for outcome in ("churn", "revenue"):
            lo, value, hi = (table[f"{outcome}_{part}"] for part in ("lo", "effect", "hi"))
            assert (lo < value).all()
            assert (value < hi).all()
        assert (table["n"] > 0).all()
        assert table["support_share"].between(0, 1).all()


def test_a_rating_asked_after_the_outcome_is_named_and_kept_out_of_the_model(telco: Ran) -> None:
    assert telco.codes == dict.fromkeys(COMMANDS["ibm_telco"], 0), telco.said
    (leak,) = telco.result("train")["outcomes"]["churn"]["leaks"]
    assert leak["feature"] == "support__satisfaction_points__mean"
    assert f"left out: {leak['feature']}" in telco.said
    workspace = open_workspace(telco.folder / "study.yaml")
    champion = find_champion(open_tracker(workspace.study, workspace.store), "churn")
    assert champion is not None
    used = champion.load(telco.contract.feature_contract_hash).feature_names_in_
    assert "billing__monthly_charge_usd__mean" in used
    assert not [name for name in used if "satisfaction" in name]


def test_a_rating_asked_after_the_outcome_is_no_driver_without_a_warning(telco: Ran) -> None:
    explained = telco.result("explain")
    association = pd.DataFrame(explained["association"]).set_index("feature")
    assert "too good to be" in association.loc["support__satisfaction_points__mean", "warning"]
    assert association.drop("support__satisfaction_points__mean")["warning"].eq("").all()
    effects = pd.DataFrame(explained["effects"])
    assert sorted(effects["measure"]) == ["extra_data", "help", "monthly_charge", "security"]
    assert not effects["adjustment"].str.contains("satisfaction").any()
    assert (effects["churn_lo"] < effects["churn_hi"]).all()
    assert (effects["n"] == 7_043).all()


def test_every_row_of_the_flat_table_is_scored(telco: Ran) -> None:
    (folder,) = (telco.folder / "store" / "scores").iterdir()
    scores = _read(folder)
    assert len(scores) == 7_043
    reasons = scores[["reason_1", "reason_2", "reason_3"]].fillna("")
    assert not reasons.apply(lambda column: column.str.contains("satisfaction")).any(axis=None)


def test_initiatives_on_the_flat_table_are_less_than_correlation_says_and_too_much_is_refused(telco: Ran) -> None:
    found = telco.result("simulate")
    effects = pd.DataFrame(found["flat_effects"]).set_index("name")
    assert (effects["n_customers"] == 7_043).all()
    for name in ("technical-support", "online-security"):
        row = effects.loc[name]
        assert row["raw_effect"] < 1.5 * row["lo"] < 1.5 * row["hi"] < 0
        assert "satisfaction" not in row["adjustment"]
    assert effects.loc["hundred-off", "verdict"] == "refused"
    assert np.isnan(float(effects.loc["hundred-off", "effect"] or "nan"))
    levels = pd.DataFrame(found["flat_segments"]).query("name == 'technical-support'").set_index("level")
    assert levels.loc["Month-to-Month", "hi"] < levels.loc["One Year", "effect"]
    assert any("no revenue" in said for said in found["switched_off"])


def test_a_survey_with_ratings_that_do_not_apply_is_ranked_by_all_its_passengers(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    sfo = _ran("sfo_airport", tmp_path_factory.mktemp("sfo"))
    assert sfo.codes == dict.fromkeys(COMMANDS["sfo_airport"], 0), sfo.said
    found = pd.DataFrame(sfo.result("explain")["association"]).set_index("feature")
    assert set(found["outcome"]) == {"satisfaction"}
    assert set(found["n"]) == {11_740}
    # Measured independently on the same passengers with the rating and the flag as one block.
    assert found["r2"].iloc[0] == pytest.approx(0.538, abs=0.005)
    for measure, share in {"signs": 0.124, "screens": 0.113, "parking": 0.041, "rental_cars": 0.038}.items():
        (name,) = (name for name in found.index if f"__{measure}_" in name)
        assert found.loc[name, "share"] == pytest.approx(share, abs=0.006)


def test_every_example_says_what_it_is_how_to_run_it_and_what_its_data_are() -> None:
    for name in KEPT:
        text = (ROOT / "examples" / name / "README.md").read_text("utf-8")
        for word in ("Source", "Licence", "journeylift check --study", "Caveats"):
            assert word in text, f"{name}: {word}"
