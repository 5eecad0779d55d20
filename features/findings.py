"""Findings about the data of a study: what, how many, what to do, and how bad it is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["SEVERITIES", "Finding", "Severity", "numbered", "worst_first"]

Severity: TypeAlias = Literal["stop", "look", "fine"]

SEVERITIES: tuple[Severity, ...] = ("stop", "look", "fine")
"""Worst first: *stop* makes results wrong, *look* may, *fine* is worth knowing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found in the data.

    Parameters
    ----------
    severity : {"stop", "look", "fine"}
        How bad it is.
    topic : str
        The table, measure or journey it is about.
    what : str
        A sentence with the number in it.
    count : int
        How many.
    unit : str
        Of what: rows, customers, values, months.
    remedy : str
        What to do; may be empty.
    """

    severity: Severity
    topic: str
    what: str
    count: int
    unit: str
    remedy: str = ""

    @property
    def sentence(self) -> str:
        """What was found and what to do about it."""
        return f"{self.what} {self.remedy}".strip()


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort by severity, and leave the order as it is within one."""
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


def numbered(rows: int, examples: Sequence[int]) -> str:
    """Name rows by their numbers.

    Examples
    --------
    >>> numbered(3, (17, 204, 5001))
    'rows 17, 204 and 5,001'
    >>> numbered(312, (17, 204))
    'rows 17, 204 and 310 more'
    >>> numbered(1, (17,))
    'row 17'
    """
    names = [f"{number:,}" for number in examples]
    rest = rows - len(examples)
    parts = [*names, f"{rest:,} more"] if rest > 0 else names
    listed = ", ".join(parts[:-1]) + f" and {parts[-1]}" if len(parts) > 1 else "".join(parts)
    return f"{'row' if rows == 1 else 'rows'} {listed}"
