import pytest

from features.queries import Origin, mentions


@pytest.mark.parametrize(
    ("sql", "clocks"),
    [
        ("select now() as n from t", ("now()",)),
        ("select current_date, x from t where current_timestamp > x", ("current_date", "current_timestamp")),
        ("select today(), get_current_time() from t", ("get_current_time()", "today()")),
        ("with q as (select a, transaction_timestamp() b from t) select * from q", ("transaction_timestamp()",)),
        ("select a from t where b in (select localtimestamp from u)", ("localtimestamp",)),
        ("select age(born) from t", ("age() with one argument",)),
        ("from t select a order by now()", ("now()",)),
        ("select julianday('now') - julianday(a) as d from t", ("julianday('now')",)),
    ],
)
def test_the_clock_is_found_wherever_it_is_asked(sql: str, clocks: tuple[str, ...]) -> None:
    assert mentions(sql).clocks == clocks


@pytest.mark.parametrize(
    "sql",
    [
        "select age(a, b), transaction_timestamp, t.current_date from t",
        "select 'now()' as text, today, \"now\" from t -- now()",
        "select /* current_date */ knows(a) from t",
        "select date('2024-01-01') from t",
    ],
)
def test_what_only_looks_like_the_clock_is_not_taken_for_it(sql: str) -> None:
    assert mentions(sql).clocks == ()


def test_chance_is_found() -> None:
    assert mentions("select random() r, uuid() u from t").chance == ("random()", "uuid()")
    assert mentions("select * from t tablesample 10%").chance == ("a random sample",)
    assert mentions("select * from t using sample 5 rows (reservoir, 42)").chance == ()


def test_files_read_past_the_sources_are_found() -> None:
    found = mentions("select * from 'x.csv' join read_parquet('y.parquet') using (a), unnest([1, 2]), range(3), t")
    assert found.past == ("'x.csv'", "read_parquet()")


def test_a_dialect_that_is_not_understood_is_searched_for_the_clock_by_name() -> None:
    found = mentions("select top 5 a from t where b < now () and c < datetime('now')")
    assert (found.is_understood, found.clocks) == (False, ("'now'", "now()"))


def origins(select: str) -> tuple[Origin, ...]:
    return mentions(select).origins("known_at", "occurred_at")


def test_columns_are_followed_through_subqueries_to_their_tables() -> None:
    sql = "with q as (select closed as k, opened from t) select opened as occurred_at, k as Known_At from q"
    assert origins(sql) == (Origin(frozenset({"closed"}), is_monotone=True),)


def test_a_star_names_what_it_replaces_and_renames() -> None:
    sql = "select * replace (greatest(known_at, closed) as known_at) from t"
    assert origins(sql) == (Origin(frozenset({"known_at", "closed"}), is_monotone=True),)
    assert origins("select * rename (booked as known_at) from t")[0].columns == {"booked"}


@pytest.mark.parametrize(
    ("expression", "is_monotone"),
    [
        ("coalesce(a, b)", True),
        ("greatest(a, cast(b as timestamp))", True),
        ("a + interval 1 day", True),
        ("least(a, b)", False),
        ("case when c then a else b end", False),
        ("a - interval 1 day", False),
    ],
)
def test_what_is_never_before_its_columns_is_told_from_what_may_be(expression: str, is_monotone: bool) -> None:
    assert [one.is_monotone for one in origins(f"select o as occurred_at, {expression} as known_at from t")] == [
        is_monotone
    ]


def test_a_column_that_is_the_same_as_another_has_no_origin_of_its_own() -> None:
    union = "select a as occurred_at, a as known_at from t union all select b as occurred_at, c as known_at from u"
    assert origins(union) == (Origin(frozenset({"c"}), is_monotone=True),)
    assert origins("select o as occurred_at, null as known_at from t") == ()
    assert origins("select * from t") == ()
    assert not mentions("select * from t").names("known_at")
    assert mentions("select *, null as known_at from t").names("KNOWN_AT")


def test_a_query_over_a_view_mentions_what_the_view_mentions() -> None:
    both = mentions("select k as known_at from v").including(mentions("select closed as k, now() n from t"))
    assert (both.tables, both.clocks) == (frozenset({"v", "t"}), ("now()",))
    assert both.origins("known_at", "occurred_at")[0].columns == {"closed"}
