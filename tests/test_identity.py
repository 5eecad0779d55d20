import re
from pathlib import Path

from features.contract import read_contract
from flows.identity import flatten, identity
from flows.storage import open_workspace


def test_names_that_mlflow_does_not_take_are_spelt_in_signs_that_it_takes() -> None:
    assert flatten({"größe (€)": {"a": None, "b": True}}) == {"größe ___.b": "True"}


def test_nested_settings_become_dotted_names() -> None:
    nested = {"a": {"b": [1, {"c": "x"}], "empty": []}, "d": None}
    assert flatten(nested) == {"a.b.0": "1", "a.b.1.c": "x"}


def test_an_identity_names_study_data_features_code_and_seed(demo_dir: Path) -> None:
    workspace = open_workspace(demo_dir / "study.yaml")
    contract = read_contract(workspace.store.root)
    found = identity(workspace.study, contract, 3)
    assert found["seed"] == "3"
    assert found["data_fingerprint"] == contract.layout_fingerprint
    assert found["study_fingerprint"] == workspace.study.fingerprint()
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|", found["git_commit"])
