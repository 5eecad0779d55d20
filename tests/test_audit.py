"""The audit: what differs is named, and a service that knows nothing is not taken for one that found nothing."""

import importlib.util
import subprocess
import sys
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_only_what_is_meant_for_this_system_is_wanted(audit: Any) -> None:
    text = (
        "A_b.c==1.0 \\\n    --hash=sha256:aa\nwin==2 ; sys_platform == 'win32' \\\n    --hash=sha256:bb\n"
        f"here==3 ; sys_platform == '{sys.platform}' \\\n    --hash=sha256:cc\n"
    )
    assert audit.locked(text) == {"a-b-c": "1.0", "here": "3"}


def test_differences_are_named_with_both_versions(audit: Any) -> None:
    assert audit.differences({"a": "1", "b": "2", "d": "4"}, {"s": "9"}, {"a": "1", "b": "3", "x": "5", "s": "9"}) == [
        "b 3 is installed; the lock says 2.",
        "d 4 is in the lock and not installed.",
        "x 5 is installed and not in the lock.",
    ]
    assert audit.differences({"a": "1"}, {"s": "9"}, {"a": "1", "pip": "24", "journeylift": "0.1"}) == []


@pytest.fixture
def package(tmp_path: Path) -> Distribution:
    """A distribution of one file, whose content is ``x = 1``."""
    (tmp_path / "one.py").write_text("x = 1\n", encoding="utf-8")
    folder = tmp_path / "one-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: one\nVersion: 1.0\n", encoding="utf-8")
    (folder / "RECORD").write_text(
        "one.py,sha256=nia_NpkRxFwkPGhBR7I_yeHc_PJX0pmhxjIBam_NM_Q,6\none-1.0.dist-info/RECORD,,\n", encoding="utf-8"
    )
    return PathDistribution(folder)


def test_a_file_that_was_changed_or_is_gone_is_named(audit: Any, package: Distribution, tmp_path: Path) -> None:
    assert audit.altered(package) == []
    (tmp_path / "one.py").write_text("x = 2\n", encoding="utf-8")
    assert audit.altered(package) == ["one: one.py is not what was installed."]
    (tmp_path / "one.py").unlink()
    assert audit.altered(package) == ["one: one.py is missing."]


KNOWN = {"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2", "3"]}, {"id": "CVE-2"}]}
CLEAN = {"name": "b", "version": "1", "vulns": []}
UNKNOWN = {"name": "c", "skip_reason": "Dependency not found"}


def test_what_is_known_is_told_with_what_mends_it(audit: Any) -> None:
    line, found = audit.verdict({"dependencies": [KNOWN, CLEAN, UNKNOWN]})
    assert line == (
        "known vulnerabilities: 2 in 3 packages of requirements.lock and requirements-spark.lock, 1 unknown to the "
        "service."
    )
    assert found == ["a 1: CVE-1; mended in 2, 3.", "a 1: CVE-2; mended in none yet."]


@pytest.mark.parametrize(
    ("report", "told"),
    [
        ("no service answers: timed out", "skipped: known vulnerabilities were not looked up: no service answers"),
        ({"dependencies": [UNKNOWN, UNKNOWN]}, "skipped: the service knows none of the 2 packages"),
    ],
)
def test_without_an_answer_it_says_that_it_skipped(audit: Any, report: object, told: str) -> None:
    line, found = audit.verdict(report)
    assert line.startswith(told)
    assert found == []


def test_the_service_is_asked_about_both_locks(audit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "pip-audit").touch()
    asked: list[list[str]] = []

    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        return subprocess.CompletedProcess(command, 0, '{"dependencies": []}', "")

    monkeypatch.setattr(audit, "TOOL", tmp_path)
    monkeypatch.setattr(audit, "_run", run)
    assert audit.ask() == {"dependencies": []}
    (command,) = asked
    locks = [command[at + 1] for at, part in enumerate(command) if part == "--requirement"]
    assert locks == [str(ROOT / "requirements.lock"), str(ROOT / "requirements-spark.lock")]


def test_the_lock_holds_a_digest_for_every_package_and_names_no_registry() -> None:
    for name in ("requirements.lock", "requirements-spark.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        packages = [part for part in text.replace("\\\n", "").splitlines() if part[:1].isalnum()]
        assert packages
        assert all("--hash=sha256:" in one for one in packages)
        assert "://" not in text
        assert "index-url" not in text
