"""What is installed against the lock, and what is known against it: ``make audit``.

The first part works everywhere: versions of the installed distributions against requirements.lock, and their files
against the digests that they were installed with. The second part asks a service for known vulnerabilities, through
pip-audit in an environment of its own; where nothing answers it is left out with the reason.

Exit code 1: something differs, or something is known.
"""

import base64
import hashlib
import json
import re
import subprocess
import sys
import venv
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement

ROOT: Final = Path(__file__).parents[1]
LOCKS: Final = ("requirements.lock", "requirements-spark.lock")
TOOL: Final = ROOT / ".venv" / "audit"

# What sets up an environment, and this project.
_OWN: Final = frozenset({"journeylift", "pip", "setuptools", "wheel"})
_PATIENCE_S: Final = 300


def locked(text: str) -> dict[str, str]:
    """Read the versions of a lock that are meant for this Python and system, by name."""
    found = {}
    for line in text.splitlines():
        if re.match(r"[A-Za-z0-9]", line):
            one = Requirement(line.rstrip("\\ "))
            if one.marker is None or one.marker.evaluate():
                found[plain(one.name)] = str(one.specifier).removeprefix("==")
    return found


def plain(name: str) -> str:
    """Spell a name as all tools compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def differences(wanted: Mapping[str, str], optional: Mapping[str, str], installed: Mapping[str, str]) -> list[str]:
    """Say what is installed otherwise than locked, one line each, by name."""
    lines = []
    for name in sorted({*wanted, *installed} - _OWN):
        found, locked_at = installed.get(name), wanted.get(name, optional.get(name))
        if locked_at is None:
            lines.append(f"{name} {found} is installed and not in the lock.")
        elif found is None:
            lines.append(f"{name} {locked_at} is in the lock and not installed.")
        elif found != locked_at:
            lines.append(f"{name} {found} is installed; the lock says {locked_at}.")
    return lines


def altered(one: Distribution) -> list[str]:
    """Name the files of a distribution that are missing or differ from what was installed."""
    lines = []
    for file in one.files or ():
        if file.hash is None or file.hash.mode != "sha256":
            continue
        path = Path(str(file.locate()))
        try:
            content = path.read_bytes()
        except OSError:
            lines.append(f"{one.name}: {file} is missing.")
            continue
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        if digest != file.hash.value:
            lines.append(f"{one.name}: {file} is not what was installed.")
    return lines


def known(report: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Split a report of pip-audit: what is known, one line each, and the packages that the service did not know."""
    found, unknown = [], []
    for one in report["dependencies"]:
        if "skip_reason" in one:
            unknown.append(str(one["name"]))
        for fault in one.get("vulns", ()):
            mended = ", ".join(fault.get("fix_versions", ())) or "none yet"
            found.append(f"{one['name']} {one['version']}: {fault['id']}; mended in {mended}.")
    return found, unknown


def ask() -> Mapping[str, Any] | str:
    """Ask pip-audit about both locks: its report, or why there is none."""
    python = TOOL / "bin" / "python"
    try:
        if not (TOOL / "bin" / "pip-audit").is_file():
            venv.create(TOOL, with_pip=True, clear=True)
            quick = ["--quiet", "--disable-pip-version-check", "--retries", "1"]
            done = _run([str(python), "-m", "pip", "install", *quick, "pip-audit>=2.9"])
            if done.returncode:
                return f"pip-audit cannot be installed here: {_last(done.stderr)}"
        options = ["--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json"]
        locks = [part for name in LOCKS for part in ("--requirement", str(ROOT / name))]
        done = _run([str(python), "-m", "pip_audit", *options, *locks])
    except (OSError, subprocess.SubprocessError) as error:
        return f"{type(error).__name__}: {_last(str(error))}"
    try:
        return dict(json.loads(done.stdout))
    except ValueError:
        return f"no service answers: {_last(done.stderr)}"


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_PATIENCE_S)  # noqa: S603


def _last(text: str) -> str:
    return (text.strip().splitlines() or ["nothing was said"])[-1][:200]


def verdict(report: Mapping[str, Any] | str) -> tuple[str, list[str]]:
    """Say what came of asking: one line for people, and what is known."""
    if isinstance(report, str):
        return f"skipped: known vulnerabilities were not looked up: {report}", []
    found, unknown = known(report)
    asked = len(report["dependencies"])
    if len(unknown) == asked:
        return f"skipped: the service knows none of the {asked} packages, so it said nothing about them.", []
    rest = f", {len(unknown)} unknown to the service" if unknown else ""
    return f"known vulnerabilities: {len(found)} in {asked} packages of {' and '.join(LOCKS)}{rest}.", found


def _tell(lines: Iterable[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)


def main() -> int:
    """Check both, and say what was found."""
    base, spark = ((ROOT / name).read_text(encoding="utf-8") for name in LOCKS)
    everything = list(distributions())
    installed = {plain(one.name): one.version for one in everything}
    wrong = differences(locked(base), locked(spark), installed)
    files = [line for one in everything if plain(one.name) not in _OWN for line in altered(one)]
    _tell([f"installed against the lock: {len(installed)} packages, {len(wrong)} differences.", *wrong])
    _tell([f"files against what was installed: {len(files)} differences.", *files[:20]])
    line, found = verdict(ask())
    _tell([line, *found])
    return 1 if wrong or files or found else 0


if __name__ == "__main__":
    sys.exit(main())
