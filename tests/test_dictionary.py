"""The data dictionary: a row per feature, with what its values look like."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.dictionary import dictionary, write_dictionary
from features.errors import StoreError
from features.layout import Layout
from features.panel import PanelInfo, read_panel
from tests.test_panel import built, laid_out, study_with, tables


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dictionary")


@pytest.fixture(scope="module")
def info(store: Path) -> PanelInfo:
    layout: Layout = laid_out(store, tables(), study_with(), buckets=2)
    return built(layout, store)


def test_every_feature_has_a_row_with_its_range_and_share_missing(info: PanelInfo, store: Path) -> None:
    found = dictionary(info.contract, store).set_index("name")
    panel = read_panel(store)
    assert found.index.tolist() == [feature.name for feature in info.contract.features]
    for name in ("support__wait_min__mean", "billing__touchpoints_count__total", "customer__journeys_count__distinct"):
        row, values = found.loc[name], panel[name]
        assert row["rows"] == len(panel)
        assert row["missing_share"] == pytest.approx(values.isna().mean())
        assert (row["low"], row["high"]) == (values.min(), values.max())
        assert row["mean"] == pytest.approx(values.mean())


def test_categories_have_a_number_of_values_and_no_range(info: PanelInfo, store: Path) -> None:
    row = dictionary(info.contract, store).set_index("name").loc["region"]
    assert row["values"] == 2
    assert np.isnan(row["low"])
    assert row["missing_share"] == 0


def test_what_does_not_apply_is_told_from_what_was_not_answered(info: PanelInfo, store: Path) -> None:
    row = dictionary(info.contract, store).set_index("name").loc["support__rating_points__mean"]
    contacts = read_panel(store)["support__touchpoints_count__total"]
    assert row["missing_means"] == "not answered"
    assert row["no_contact_share"] == pytest.approx((contacts == 0).mean())
    assert row["missing_share"] > row["no_contact_share"]


def test_the_file_says_the_same(info: PanelInfo, store: Path, tmp_path: Path) -> None:
    write_dictionary(tmp_path / "dictionary.csv", info.contract, store)
    read = pd.read_csv(tmp_path / "dictionary.csv", keep_default_na=False)
    assert read["meaning"].tolist() == [feature.meaning for feature in info.contract.features]
    with pytest.raises(StoreError, match="cannot be written"):
        write_dictionary(tmp_path / "none" / "dictionary.csv", info.contract, store)
