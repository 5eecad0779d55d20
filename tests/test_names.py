import importlib
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

PACKAGES = ("features", "models", "flows")
ROOT = Path(importlib.import_module("flows").__file__ or "").parents[1]


def test_no_module_of_flows_has_the_name_of_a_package_or_of_a_standard_module() -> None:
    taken = set(sys.stdlib_module_names) | set(packages_distributions()) | set(PACKAGES)
    names = {path.stem for path in (ROOT / "flows").glob("*.py")} - {"__init__"}
    assert names & taken == set()


def test_the_three_packages_live_in_one_folder() -> None:
    found = {Path(importlib.import_module(name).__file__ or "").parents[1] for name in PACKAGES}
    assert found == {ROOT}


def test_tests_are_no_package() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


@pytest.mark.parametrize(
    "module",
    ["build_features", "train", "premium", "explain", "simulate", "score", "demo", "retrain", "nightly"],
)
def test_a_flow_is_found_by_its_module_path(module: str) -> None:
    from prefect.flows import load_flow_from_entrypoint  # noqa: PLC0415

    assert load_flow_from_entrypoint(f"flows.{module}.{module}").name == module
