"""Near copies: found with their groups where they are, not found where they are not, and what they do to validation."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from features.measures import Feature
from features.replicas import GROUP, Replicas, find_replicas
from models.churn import candidates
from models.evaluation import Candidate, Predict, Rows, known_rows, silent
from models.grids import churn_grids
from models.metrics import churn_metrics, row_log_loss
from models.search import choose_settings, out_of_fold, settled
from models.segments import measure
from models.splits import grouped
from tests.copies import NULLS, copied, interleaved, null_table, people, shifted_blocks

DATA = Path(os.environ.get("JOURNEYLIFT_DATA") or Path(__file__).parents[2] / "shared" / "data")
SURVEY = DATA / "sfo_survey" / "sfo_harmonised_2010_2016.parquet"
TELCO = DATA / "ibm_telco_ext" / "telco_ext_merged.parquet"
NUMBERS = tuple(Feature(name, name, "", "none", "customer", None, None, "covariate") for name in "abcde")


def found(frame: pd.DataFrame, customer: pd.Series | None = None) -> Replicas:
    columns = frame.drop(columns=["truth", "is_churned"], errors="ignore")
    if customer is None:
        customer = pd.Series([f"c{k:05d}" for k in range(len(frame))], index=frame.index)
    churned = frame["is_churned"] if "is_churned" in frame else pd.Series(np.arange(len(frame)) % 2)
    place = np.arange(len(frame))
    return find_replicas(columns, customer, churned.to_numpy(float), place, np.random.default_rng(0))


def pair_precision_and_recall(group: np.ndarray, truth: pd.Series) -> tuple[float, float]:
    """Of the pairs of rows in one group the share that is right; of the right pairs the share in one group."""

    def pairs(labels: object) -> float:
        sizes = pd.Series(1, index=range(len(group))).groupby(labels).sum()
        return float((sizes * (sizes - 1) / 2).sum())

    truth = truth.reset_index(drop=True)
    both = pairs([group, truth.to_numpy()])
    return both / pairs(group), both / pairs(truth.to_numpy())


@pytest.mark.parametrize("noise", [0.02, 0.05, 0.2])
def test_a_block_of_1000_written_five_times_falls_into_its_1000_groups(noise):
    rng = np.random.default_rng(1)
    frame = copied(people(rng, 1_000), 5, noise, rng)
    result = found(frame)
    assert set(result.found.lags) == {1_000, 2_000, 3_000, 4_000}
    precision, recall = pair_precision_and_recall(result.group, frame["truth"])
    assert precision > 0.99
    assert recall > 0.99
    assert (result.found.rows, result.found.groups, result.found.largest) == (5_000, 1_000, 5)
    assert result.found.agreement > 0.99


def test_copies_one_after_the_other_fall_into_their_groups():
    rng = np.random.default_rng(2)
    frame = interleaved(copied(people(rng, 1_000), 5, 0.05, rng))
    result = found(frame)
    assert result.found.lags[0] == 1
    precision, recall = pair_precision_and_recall(result.group, frame["truth"])
    assert precision > 0.95
    assert recall > 0.99


def test_shuffled_copies_fall_into_their_groups_without_a_distance():
    rng = np.random.default_rng(3)
    frame = copied(people(rng, 1_000), 5, 0.03, rng).sample(frac=1, random_state=1, ignore_index=True)
    result = found(frame)
    assert result.found.lags == ()
    precision, recall = pair_precision_and_recall(result.group, frame["truth"])
    assert precision > 0.97
    assert recall > 0.97


def test_few_customers_in_many_moved_blocks_fall_into_their_groups():
    frame = shifted_blocks(np.random.default_rng(4))
    result = found(frame)
    assert 50 in result.found.lags
    precision, recall = pair_precision_and_recall(result.group, frame["truth"])
    assert precision > 0.99
    assert recall > 0.99


def test_a_table_without_copies_has_groups_of_one():
    frame = people(np.random.default_rng(5), 2_000)
    result = found(frame)
    assert result.group.tolist() == [f"c{k:05d}" for k in range(2_000)]
    assert (result.found.rows, result.found.groups, result.found.lags, result.found.notes()) == (0, 0, (), ())


def test_rows_of_a_customer_in_several_waves_are_not_copies():
    rng = np.random.default_rng(6)
    frame = copied(people(rng, 600), 3, 0.05, rng)
    result = found(frame, frame["truth"].map("c{:05d}".format))
    assert result.found.groups == 0
    assert (result.group == frame["truth"].map("c{:05d}".format)).all()


def test_copies_of_customers_with_waves_join_whole_customers():
    rng = np.random.default_rng(7)
    waves = copied(people(rng, 400), 2, 0.3, rng)
    again = copied(waves.drop(columns="truth"), 2, 0.02, rng)
    customer = pd.Series([f"c{k % 400:03d}" for k in range(800)] + [f"d{k % 400:03d}" for k in range(800)])
    group = found(again, customer).group
    assert (group[:800] == group[800:]).mean() > 0.99
    assert (group[:400] == group[400:800]).all()


def test_the_sentence_says_what_how_many_what_it_does_and_what_happens_now():
    rng = np.random.default_rng(8)
    (note,) = found(copied(people(rng, 500), 3, 0.02, rng)).found.notes()
    assert "1,500 of 1,500 rows (100%) are near copies" in note
    assert "in 500 groups of up to 3 rows, standing 500, 1,000 rows apart" in note
    assert "100% of such pairs agree on churn" in note
    assert "trains or tests as a whole" in note


def test_the_order_of_the_rows_matters_only_to_distances():
    rng = np.random.default_rng(9)
    frame = copied(people(rng, 500), 3, 0.02, rng)
    customer = pd.Series([f"c{k:05d}" for k in range(len(frame))])
    churned = frame["is_churned"].to_numpy()
    columns = frame.drop(columns=["truth", "is_churned"])
    place = rng.permutation(len(frame))
    mixed = find_replicas(columns, customer, churned, place, np.random.default_rng(0))
    assert mixed.found.lags == ()
    assert pair_precision_and_recall(mixed.group, frame["truth"])[1] > 0.97


@pytest.mark.parametrize("kind", NULLS)
def test_tables_without_copies_raise_no_alarm(kind):
    for seed in range(3):
        result = found(null_table(kind, np.random.default_rng([seed, 1])).reset_index(drop=True))
        assert result.found.groups == 0, (kind, seed)


@pytest.mark.slow
def test_at_most_one_in_a_hundred_tables_without_copies_raises_an_alarm():
    tables = [(kind, seed) for kind in NULLS for seed in range(50)]
    alarms = [
        (kind, seed)
        for kind, seed in tables
        if found(null_table(kind, np.random.default_rng([seed, 2])).reset_index(drop=True)).found.groups
    ]
    assert len(alarms) <= 3, alarms


@pytest.mark.parametrize("columns", [range(1, 15), range(39)], ids=["14 ratings", "all columns"])
def test_a_real_survey_raises_no_alarm_although_answers_coincide(columns):
    if not SURVEY.exists():
        pytest.skip(f"the public data are not at {SURVEY}; set JOURNEYLIFT_DATA to their folder")
    survey = pd.read_parquet(SURVEY).drop(columns="respnum").iloc[:, [k for k in columns if k < 38]]
    assert found(survey.astype("float64")).found.groups == 0


def test_a_table_sorted_by_churn_raises_no_alarm():
    if not TELCO.exists():
        pytest.skip(f"the public data are not at {TELCO}; set JOURNEYLIFT_DATA to their folder")
    table = pd.read_parquet(TELCO).drop(columns=["Customer ID", "Location ID", "Service ID", "Status ID"])
    assert found(table.rename(columns={"Churn Value": "is_churned"})).found.groups == 0


def _nearest() -> Candidate:
    """What learns by heart: the mean outcome of the three nearest rows."""

    def learn(train: Rows, seed: int) -> Predict:
        model = make_pipeline(StandardScaler(), KNeighborsClassifier(3)).fit(
            train.table.to_numpy(float), train.observed
        )
        return lambda test: np.asarray(model.predict_proba(test.table.to_numpy(float))[:, 1])

    return Candidate("nearest", "three nearest rows", learn)


TRIED = (*(one for one in candidates(NUMBERS, churn_grids(0, 0)) if one.name == "boosting"), _nearest())


def _auc(frame: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """AUC out of fold and width of its interval, by candidate."""
    rng = np.random.default_rng(1)
    known = known_rows(frame, NUMBERS, "is_churned")
    predicted = out_of_fold(known, grouped(frame, 3, rng), TRIED, rng=rng, max_rows=100_000, tick=silent)
    predicted = settled(predicted, choose_settings(predicted, TRIED, row_log_loss))
    rows = measure(predicted, "churn", churn_metrics).query("metric == 'auc' and fold == 'all'")
    return {row.candidate: (row.value, row.hi - row.lo) for row in rows.itertuples()}


def _auc_of_new_customers(frame: pd.DataFrame, new: pd.DataFrame) -> dict[str, float]:
    train, test = (known_rows(rows, NUMBERS, "is_churned") for rows in (frame, new))
    rows = train.rows(np.arange(len(train))), test.rows(np.arange(len(test)))
    return {one.name: roc_auc_score(rows[1].observed, one.learn(rows[0], 0)(rows[1])) for one in TRIED}


def _study(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.drop(columns="truth", errors="ignore")
    return frame.assign(customer_id=[f"c{k:05d}" for k in range(len(frame))], cutoff=0)


def test_grouped_folds_tell_the_auc_of_new_customers_where_random_ones_boast():
    rng = np.random.default_rng(10)
    frame = copied(people(rng, 1_000), 5, 0.02, rng)
    study = _study(frame)
    boasting, honest = _auc(study), _auc(study.assign(**{GROUP: found(frame).group}))
    truth = _auc_of_new_customers(study, _study(people(rng, 5_000)))
    assert boasting["nearest"][0] > 0.97
    assert boasting["boosting"][0] > truth["boosting"] + 0.05
    for name in ("nearest", "boosting"):
        # Four standard errors of an AUC of 1,000 customers are about 0.06.
        assert honest[name][0] == pytest.approx(truth[name], abs=0.06), name


def test_intervals_count_a_group_once():
    rng = np.random.default_rng(11)
    frame = copied(people(rng, 1_000), 5, 0.02, rng)
    honest, single = _auc(_study(frame).assign(**{GROUP: found(frame).group})), _auc(_study(frame.iloc[:1_000]))
    # Five copies tell no more than one row: the interval is that of 1,000 rows, not that of 5,000.
    for name in ("nearest", "boosting"):
        assert honest[name][1] == pytest.approx(single[name][1], rel=0.2), name
