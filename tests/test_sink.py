"""Real databases: DuckDB files, and a Postgres that is started for these tests and thrown away."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from features.errors import StoreError
from features.scoring_rules import Sink
from features.study import Engine
from flows import sink as sinks
from flows.score_store import Published, publish_scores
from flows.sink import deliver, require_sink, undelivered
from flows.storage import Store
from tests.postgres import SECRET, postgres_server
from tests.test_score_store import KEY, scores

TABLE = "scores %s of 'all'"


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """URL of a throw-away server."""
    yield from postgres_server()


@dataclass
class Place:
    """A sink, and what somebody else sees in it."""

    sink: Sink
    base: Path
    url: str = ""

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        """Run SQL; {t} is the table, {d} the one of deliveries."""
        schema = "crm." if self.url else ""
        sql = sql.replace("{t}", f'{schema}"{TABLE}"').replace("{d}", f'{schema}"{TABLE}_deliveries"')
        if not self.url:
            (self.base / "out").mkdir(exist_ok=True)
            with duckdb.connect(self.base / "out" / "crm.duckdb") as con:
                return con.execute(sql).fetchall()
        import psycopg  # noqa: PLC0415 - only where Postgres is

        with psycopg.connect(self.url, autocommit=True) as con:
            cursor = con.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def deliver(self, published: Published, study: str = "northline") -> bool:
        return deliver(self.sink, self.base, published, study)

    def held(self) -> list[tuple[Any, ...]]:
        return self.ask("SELECT customer_id, churn_risk, revision FROM {t} ORDER BY cutoff, customer_id")


@pytest.fixture(params=["duckdb", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    if request.param == "duckdb":
        return Place(Sink(duckdb="out/crm.duckdb", table=TABLE), tmp_path)
    url = request.getfixturevalue("postgres")
    monkeypatch.setenv("SCORES_URL", url)
    found = Place(Sink(postgres="SCORES_URL", table=f"crm.{TABLE}"), tmp_path, url)
    found.ask("DROP SCHEMA IF EXISTS crm CASCADE; CREATE SCHEMA crm")
    return found


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def publish(store: Store, n: int, risk: float = 0.25, **changed: str) -> Published:
    key = replace(KEY, **changed)
    return publish_scores(store, key, [scores(n, risk, key.cutoff)])[0]


def test_scores_are_brought_in_once_and_whole(place: Place, store: Store) -> None:
    published = publish(store, 5)
    assert place.deliver(published)
    assert place.held() == [(f"c{at:06}", 0.25, 1) for at in range(5)]
    columns = "customer_id, expected_revenue, revenue_at_risk, reason_1, churn_model_version"
    assert place.ask(f"SELECT {columns} FROM {{t}} WHERE customer_id = 'c000003'") == [
        ("c000003", None, 0.375, "x", "x")
    ]
    epochs = "SELECT DISTINCT extract(epoch FROM cutoff), extract(epoch FROM outcome_matures_at) FROM {t}"
    assert [tuple(map(float, row)) for row in place.ask(epochs)] == [(1_748_736_000.0, 1_756_598_400.0)]
    assert not place.deliver(published)


def test_what_the_table_lacks_is_found_by_revision_and_bytes(place: Place, store: Store) -> None:
    first, second = publish(store, 5), publish(store, 2, 0.75, cutoff="2025-07-01")
    assert undelivered(place.sink, place.base, [first, second]) == [first, second]
    place.deliver(first)
    assert undelivered(place.sink, place.base, [first, second]) == [second]
    place.deliver(second)
    assert undelivered(place.sink, place.base, [first, second]) == []
    later = publish(store, 3, 0.5, data="late rows")
    assert undelivered(place.sink, place.base, [later, second]) == [later]


def test_a_restated_cutoff_updates_who_is_there_and_removes_who_is_not(place: Place, store: Store) -> None:
    place.deliver(publish(store, 5))
    place.deliver(publish(store, 2, 0.75, cutoff="2025-07-01"))
    assert place.deliver(publish(store, 3, 0.5, data="late rows"))
    assert place.held() == [(f"c{at:06}", 0.5, 2) for at in range(3)] + [(f"c{at:06}", 0.75, 1) for at in range(2)]
    assert place.ask("SELECT revision, n FROM {d} ORDER BY cutoff") == [(2, 3), (1, 2)]


def test_a_cutoff_of_another_study_is_refused_and_its_rows_stay(place: Place, store: Store) -> None:
    place.deliver(publish(store, 5))
    with pytest.raises(StoreError, match=r"study northline delivered the scores of this cutoff, and those of study b "):
        place.deliver(publish(Store(place.base / "other"), 2, 0.75), "b")
    assert [row[1] for row in place.held()] == [0.25] * 5
    place.ask("ALTER TABLE {d} DROP COLUMN study")  # as tables of before were
    assert place.deliver(publish(store, 5))
    assert place.ask("SELECT study FROM {d}") == [("northline",)]


def test_what_a_database_refuses_is_told_without_ids_of_customers(place: Place, store: Store) -> None:
    place.deliver(publish(store, 1))
    place.ask("DROP TABLE {t}")
    columns = ", ".join(f"{name} {sinks._KINDS[kind][0]}" for name, kind in sinks._COLUMNS.items())
    place.ask(f"CREATE TABLE {{t}} ({columns}, PRIMARY KEY (cutoff, customer_id), CHECK (churn_risk < 0.5))")
    with pytest.raises(StoreError, match="does not have them") as caught:
        place.deliver(publish(store, 3, 0.75, data="late rows"))
    assert "c00000" not in str(caught.value)


def test_who_takes_rows_out_of_the_table_gets_them_back(place: Place, store: Store) -> None:
    """The state of delivery is not believed where the table says otherwise."""
    published = publish(store, 4)
    place.deliver(published)
    place.ask("DELETE FROM {t} WHERE customer_id = 'c000001'")
    assert place.deliver(published)
    assert len(place.held()) == 4


def test_what_fails_in_the_middle_leaves_the_table_as_it_was_and_is_delivered_next_time(
    place: Place, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.deliver(publish(store, 5))
    later = publish(store, 3, 0.5, data="late rows")
    monkeypatch.setattr(sinks, "_KEY", ("cutoff", "nothing"))  # the upsert names a column that is not there
    monkeypatch.setattr(sinks, "_require_fit", lambda *_: None)
    with pytest.raises(StoreError, match=r"The scores of 2025-06-01 are published in '.*', but table .* run the same"):
        place.deliver(later)
    monkeypatch.undo()
    if place.url:
        monkeypatch.setenv("SCORES_URL", place.url)
    assert [row[2] for row in place.held()] == [1] * 5
    assert place.deliver(later)
    assert [row[2] for row in place.held()] == [2] * 3


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            "customer_id TEXT, cutoff DATE, churn_risk TEXT",
            "column cutoff is date, timestamp with time zone was",
        ),
        ("customer_id TEXT", r"column churn_risk \(double precision\) is missing"),
        ("customer_id TEXT", r"it has no primary key \(cutoff, customer_id\)"),
    ],
)
def test_a_table_of_somebody_elses_is_not_touched_and_what_does_not_fit_is_named(
    place: Place, store: Store, columns: str, message: str
) -> None:
    place.ask(f"CREATE TABLE {{t}} ({columns})")
    place.ask("INSERT INTO {t} (customer_id) VALUES ('mine')")
    with pytest.raises(StoreError, match=message):
        place.deliver(publish(store, 2))
    assert place.ask("SELECT customer_id FROM {t}") == [("mine",)]


def test_further_columns_of_a_table_are_left_alone(place: Place, store: Store) -> None:
    place.deliver(publish(store, 2))
    place.ask("ALTER TABLE {t} ADD COLUMN called_at DATE")
    place.ask("UPDATE {t} SET called_at = DATE '2025-06-03'")
    place.deliver(publish(store, 2, 0.5, data="late rows"))
    assert place.ask("SELECT DISTINCT churn_risk, CAST(called_at AS VARCHAR) FROM {t}") == [(0.5, "2025-06-03")]


def test_texts_of_any_kind_arrive_as_they_are(place: Place, store: Store) -> None:
    odd = ['"a", b', "é\n\tü", "", "\\N", "NULL"]
    table = scores(5)
    table = table.set_column(0, "customer_id", [odd])
    place.deliver(publish_scores(store, KEY, [table])[0])
    assert sorted(row[0] for row in place.held()) == sorted(odd)


def test_a_user_of_postgres_who_may_fill_tables_and_not_make_them_delivers(
    postgres: str, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCORES_URL", postgres)
    place = Place(Sink(postgres="SCORES_URL", table=f"crm.{TABLE}"), tmp_path, postgres)
    place.ask("DROP SCHEMA IF EXISTS crm CASCADE; CREATE SCHEMA crm")
    place.deliver(publish(store, 1))
    place.ask(f"DROP ROLE IF EXISTS filler; CREATE ROLE filler LOGIN PASSWORD '{SECRET}'")
    place.ask("GRANT USAGE ON SCHEMA crm TO filler")
    place.ask("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA crm TO filler")
    monkeypatch.setenv("SCORES_URL", postgres.replace("//app:", "//filler:"))
    assert place.deliver(publish(store, 2, 0.5, data="late rows"))
    assert len(place.held()) == 2


def test_a_postgres_that_is_not_there_is_named_by_its_variable_only(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = Sink(postgres="SCORES_URL", table="scores")
    monkeypatch.setenv("SCORES_URL", f"postgresql://app:{SECRET}@127.0.0.1:1/none")
    with pytest.raises(StoreError, match="named by SCORES_URL does not have them: nothing answers") as caught:
        deliver(sink, tmp_path, publish(store, 2), "northline")
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None
    monkeypatch.setenv("SCORES_URL", f"mysql://app:{SECRET}@h/none")
    with pytest.raises(StoreError, match="SCORES_URL holds no Postgres URL") as caught:
        require_sink(sink, tmp_path)
    assert SECRET not in str(caught.value)
    monkeypatch.delenv("SCORES_URL")
    with pytest.raises(StoreError, match="SCORES_URL is not set"):
        require_sink(sink, tmp_path)


def test_a_file_that_is_no_database_is_one_clear_error(store: Store, tmp_path: Path) -> None:
    (tmp_path / "crm.duckdb").write_bytes(b"not a database, whatever its name says" * 500)
    with pytest.raises(StoreError, match=r"table scores in 'crm.duckdb' does not have them: .*not a valid DuckDB"):
        deliver(Sink(duckdb="crm.duckdb"), tmp_path, publish(store, 2), "northline")


def test_duckdb_keeps_to_what_the_study_lets_it_spend(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"could not allocate|failed to (pin|allocate)"):
        deliver(Sink(duckdb="crm.duckdb"), tmp_path, publish(store, 20_000), "northline", Engine(memory_limit="1MB"))
    assert deliver(
        Sink(duckdb="crm.duckdb"), tmp_path, publish(store, 20_000), "northline", Engine(memory_limit="128MiB")
    )


def test_a_link_does_not_lead_a_sink_out_of_the_study(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "out").symlink_to(tmp_path)
    with pytest.raises(StoreError, match="leads out of the folder of the study"):
        require_sink(Sink(duckdb="out/crm.duckdb"), tmp_path / "study")
