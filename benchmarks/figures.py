"""Measurements kept as JSON and laid out as tables: medians, ratios to the floors, growth, price of a cutoff."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import median

from benchmarks.measured import Measurement

__all__ = ["Checked", "Record", "Results", "report"]


@dataclass(frozen=True, slots=True)
class Record:
    """One run of one form.

    Attributes
    ----------
    size, touchpoints : int
        Touchpoints asked for, and there.
    form : str
        Such as ``engine, 6 cutoffs``.
    cutoffs, repeat : int
        How many cutoffs; which repeat, from 0.
    measured : Measurement or None
        None if it did not finish.
    fault : str
        Why it did not, or was not begun.
    """

    size: int
    touchpoints: int
    form: str
    cutoffs: int
    repeat: int
    measured: Measurement | None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """A rival that was held against the engine."""

    size: int
    form: str
    rows: int
    columns: int
    compared: int
    largest: float


@dataclass(slots=True)
class Results:
    """What has been measured so far; written after every run.

    Attributes
    ----------
    machine : dict of str to str or int
        Cores, memory, system.
    records : list of Record
    checked : list of Checked
    """

    machine: dict[str, str | int]
    records: list[Record] = field(default_factory=list)
    checked: list[Checked] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> Results:
        """Read what `write` has written."""
        found = json.loads(path.read_text(encoding="utf-8"))
        records = [
            Record(**row | {"measured": Measurement(**row["measured"]) if row["measured"] else None})
            for row in found["records"]
        ]
        return cls(found["machine"], records, [Checked(**row) for row in found["checked"]])

    def write(self, path: Path) -> None:
        """Write everything, in one step."""
        beside = path.with_name(path.name + ".tmp")
        beside.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        beside.replace(path)

    def has(self, size: int, form: str, repeat: int) -> bool:
        """Say whether a run is there, done or given up."""
        return any((one.size, one.form, one.repeat) == (size, form, repeat) for one in self.records)

    def is_checked(self, size: int, form: str) -> bool:
        """Say whether a rival has agreed with the engine."""
        return any((one.size, one.form) == (size, form) for one in self.checked)


@dataclass(frozen=True, slots=True)
class _Median:
    """Medians over the repeats of a form at a size."""

    size: int
    form: str
    cutoffs: int
    millions: float
    n: int
    low: float
    seconds: float
    high: float
    cpu_seconds: float
    peak_gb: float
    cells: int

    @property
    def cell_ns(self) -> float:
        """Nanoseconds for each customer, cutoff and feature."""
        return self.seconds / self.cells * 1e9

    @property
    def cell_cpu_ns(self) -> float:
        """The same in CPU seconds."""
        return self.cpu_seconds / self.cells * 1e9


def report(results: Results) -> str:
    """Lay out all measurements as Markdown."""
    found = _medians(results.records)
    parts = [_machine(results)]
    parts += [_size_table(found, size) for size in sorted({one.size for one in found})]
    parts += [_faults(results.records), _growth(found), _cutoffs(found), _agreement(results.checked)]
    return "\n\n".join(part for part in parts if part)


def _medians(records: Iterable[Record]) -> list[_Median]:
    runs: dict[tuple[int, str], list[Record]] = {}
    for record in records:
        if record.measured is not None:
            runs.setdefault((record.size, record.form), []).append(record)
    return [_median(several) for several in runs.values()]


def _median(several: list[Record]) -> _Median:
    measured = [one.measured for one in several if one.measured is not None]
    seconds = [one.seconds for one in measured]
    first = several[0]
    return _Median(
        size=first.size,
        form=first.form,
        cutoffs=first.cutoffs,
        millions=first.touchpoints / 1e6,
        n=len(measured),
        low=min(seconds),
        seconds=median(seconds),
        high=max(seconds),
        cpu_seconds=median(one.cpu_seconds for one in measured),
        peak_gb=median(one.peak_bytes for one in measured) / 1e9,
        cells=measured[0].rows * measured[0].columns,
    )


def _machine(results: Results) -> str:
    done = [(one.form, one.measured) for one in results.records if one.measured is not None]
    lines = [", ".join(f"{name} {text}" for name, text in results.machine.items())]
    environments: dict[str, dict[str, None]] = {}
    for form, measured in done:
        versions = ", ".join(f"{name} {text}" for name, text in measured.versions.items())
        environments.setdefault(versions, {})[form.split(",")[0]] = None
    lines += [f"{', '.join(forms)}: {versions}" for versions, forms in environments.items()]
    loads = [load for _, measured in done for load in measured.load]
    if loads:
        lines += [f"load average while measuring: {min(loads):.1f} to {max(loads):.1f}, median {median(loads):.1f}"]
    return "  \n".join(lines)


def _size_table(found: list[_Median], size: int) -> str:
    rows = [one for one in found if one.size == size]
    floors = [next((one for one in rows if one.form == name), None) for name in ("scan", "group")]
    ours = next((one for one in rows if one.form.startswith("engine")), None)
    head = "| form | n | seconds (low to high) | CPU s | peak GB | x scan | x group-by | ns per value | CPU ns "
    head += "| x engine | CPU x engine |"
    lines = [f"### {rows[0].millions:.2f} million touchpoints", "", head, "|---" * 11 + "|"]
    for one in rows:
        cells = [one.form, f"{one.n}", f"{one.seconds:.2f} ({one.low:.2f} to {one.high:.2f})"]
        cells += [f"{one.cpu_seconds:.2f}", f"{one.peak_gb:.2f}"]
        cells += [_ratio(one.seconds, floor.seconds if floor else None) for floor in floors]
        lines += [f"| {' | '.join([*cells, *_values(one, ours)])} |"]
    return "\n".join([*lines, *_layout_ratio(rows)])


def _values(one: _Median, ours: _Median | None) -> list[str]:
    """Show what a value costs, as such and relative to the engine."""
    if not one.cells:
        return [""] * 4
    costs = [one.cell_ns, one.cell_cpu_ns]
    ratios = [
        _ratio(one.cell_ns, ours.cell_ns if ours else None),
        _ratio(one.cell_cpu_ns, ours.cell_cpu_ns if ours else None),
    ]
    return [*(f"{cost:.1f}" for cost in costs), *ratios]


def _ratio(value: float, by: float | None) -> str:
    return f"{value / by:.1f}" if by else ""


def _layout_ratio(rows: list[_Median]) -> list[str]:
    by_form = {one.form: one for one in rows}
    pairs = [(one, by_form.get(one.form.replace("layout", "sort"))) for one in rows if one.form.startswith("layout")]
    return [
        f"\n{one.form} takes {_ratio(one.seconds, floor.seconds)} times DuckDB's sort, "
        f"{_ratio(one.cpu_seconds, floor.cpu_seconds)} times in CPU seconds."
        for one, floor in pairs
        if floor is not None
    ]


def _growth(found: list[_Median]) -> str:
    """Show what a million touchpoints costs, and the memory, by size."""
    lines = []
    for form in dict.fromkeys(one.form for one in found):
        sizes = sorted((one for one in found if one.form == form), key=lambda one: one.size)
        if len(sizes) > 1:
            cells = [
                f"{one.millions:.1f} M: {one.seconds / one.millions:.3f} s, {one.cpu_seconds / one.millions:.3f} CPU s "
                f"for a million, {one.peak_gb:.2f} GB"
                for one in sizes
            ]
            lines += [f"- {form}: {'; '.join(cells)}"]
    return "\n".join(["### Growth", "", *lines]) if lines else ""


def _cutoffs(found: list[_Median]) -> str:
    """Show what a further cutoff costs beside the mean of the others."""
    lines = []
    for size in sorted({one.size for one in found}):
        rows = sorted((one for one in found if one.size == size and one.form.startswith("engine")), key=_by_cutoffs)
        lines += [_price(few, many) for few, many in pairwise(rows)]
    return "\n".join(["### Price of a cutoff", "", *lines]) if lines else ""


def _price(few: _Median, many: _Median) -> str:
    further = many.cutoffs - few.cutoffs
    parts = [
        f"{unit} {before / few.cutoffs:.2f} each at {few.cutoffs} cutoffs, {(after - before) / further:.2f} for each "
        f"further one up to {many.cutoffs}"
        for unit, before, after in (
            ("seconds", few.seconds, many.seconds),
            ("CPU seconds", few.cpu_seconds, many.cpu_seconds),
        )
    ]
    return f"- {few.millions:.2f} M: {'; '.join(parts)}"


def _by_cutoffs(one: _Median) -> int:
    return one.cutoffs


def _faults(records: Iterable[Record]) -> str:
    return "\n".join(f"- {one.form}, {one.size:,}: {one.fault}" for one in records if one.fault)


def _agreement(checked: Iterable[Checked]) -> str:
    lines = [
        f"- {one.form}, {one.size:,} touchpoints: sums of {one.columns} columns over {one.rows:,} rows agree; "
        f"{one.compared:,} rows value by value, largest difference {one.largest:.1e}"
        for one in checked
    ]
    return "\n".join(["### Agreement with the engine", "", *lines]) if lines else ""
