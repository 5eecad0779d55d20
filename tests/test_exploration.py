from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.exploration import Exploration, explore
from tests.journey_tables import laid_out


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Exploration:
    return explore(*laid_out(tmp_path_factory.mktemp("explored")))


def test_journeys_stand_in_the_order_of_the_study_with_their_counts(found: Exploration) -> None:
    counts = ["journeys", "customers", "touchpoints", "several", "told", "troubled", "mended"]
    assert found.journeys["journey"].tolist() == ["billing", "support"]
    assert found.journeys[counts].to_numpy().tolist() == [[5, 3, 5, 0, 5, 3, 0], [4, 3, 6, 2, 4, 2, 1]]
    assert found.journeys["n_effective"].tolist() == pytest.approx([25 / 9, 16 / 6])


def test_tables_of_shares_carry_what_their_interval_rests_on(found: Exploration) -> None:
    for table in (found.paths, found.troubles, found.follow_ups, found.waits):
        assert (table["n_effective"] > 0).all()
        assert "squares" not in table


@pytest.mark.parametrize(("buckets", "seed"), [(4, 1), (1, 2), (4, 3)])
def test_neither_buckets_nor_the_order_of_rows_change_anything(
    tmp_path: Path, found: Exploration, buckets: int, seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(11).tolist()
    again = explore(*laid_out(tmp_path, buckets=buckets, order=order))
    for name in ("journeys", "paths", "troubles", "follow_ups", "waits"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(found, name), rtol=1e-12)
