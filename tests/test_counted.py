import numpy as np
import pandas as pd
import pytest

from models.counted import Counted, counted, pooled


def test_values_lose_less_than_a_512th_of_themselves_and_none_of_their_sum() -> None:
    values = np.random.default_rng(1).lognormal(3, 4, 5_000) * np.where(np.arange(5_000) % 2, 1, -1)
    found = Counted.of(pd.Series(values))
    back = np.repeat(found.numbers, found.counts)
    lost = np.abs(np.sort(values) - back) / np.abs(np.sort(values))
    assert lost.max() < 1 / 512
    assert (np.abs(back) <= np.abs(np.sort(values)).astype(np.float32)).all()
    assert found.total == pytest.approx(values.sum(), rel=1e-12)


def test_whole_numbers_up_to_1024_stay_as_they_are() -> None:
    numbers = np.arange(-1024.0, 1025)
    assert Counted.of(pd.Series(numbers)).numbers.tolist() == numbers.tolist()


def test_zero_has_one_sign_also_where_a_value_is_cut_down_to_it() -> None:
    found = Counted.of(pd.Series([0.0, -0.0, -1e-45, 1e-45]))
    assert (found.numbers.tolist(), found.counts.tolist()) == ([0.0], [4])


def test_pooled_parts_are_the_whole() -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {
            "wait": pd.Series(rng.normal(size=300)).where(rng.random(300) > 0.2),
            "kind": pd.Series(rng.choice(["a", "b", "c"], 300)).where(rng.random(300) > 0.1),
        }
    )
    parts = [counted(one, ["wait", "kind"]) for one in (frame[:50], frame[50:51], frame[51:])]
    whole, both = counted(frame, ["wait", "kind"]), pooled(parts)
    for name, column in whole.items():
        assert both[name].numbers.tolist() == column.numbers.tolist()
        assert both[name].counts.tolist() == column.counts.tolist()
        assert (both[name].missing, both[name].levels) == (column.missing, column.levels)
    assert both["wait"].total == pytest.approx(whole["wait"].total)


def test_levels_that_only_a_dtype_knows_do_not_occur() -> None:
    found = Counted.of(pd.Series(["a", None], dtype=pd.CategoricalDtype(["a", "unused"])))
    assert (found.levels, found.counts.tolist(), found.rows) == (("a",), [1], 2)
