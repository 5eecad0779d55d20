"""The faults a user can meet, one class for each thing a scheduler may want to do about it.

A message says what is wrong with the value, what was expected, and what to do. Programming mistakes stay
``ValueError`` and ``TypeError``.
"""

from collections.abc import Iterable
from decimal import ROUND_CEILING, Decimal
from difflib import get_close_matches
from typing import ClassVar, Self

__all__ = [
    "AlarmError",
    "DataError",
    "EmptyResultError",
    "JourneyliftError",
    "LeakError",
    "ModelError",
    "StoreError",
    "StudyError",
    "UnsupportedError",
    "closest",
    "in_full",
    "rounded_up",
]


class JourneyliftError(Exception):
    """A fault that the user can repair; the message says how.

    Parameters
    ----------
    message : str
        What is wrong with the value, what was expected, what to do. Shown as it stands.
    faults : iterable of str, optional
        The single faults when several were collected; ``(message,)`` when left out.

    Examples
    --------
    >>> StoreError("The folder 'x' cannot be written.").exit_code
    6
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, faults: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.faults = tuple(faults) or (message,)

    @classmethod
    def collect(cls, faults: Iterable[str], advice: str = "") -> Self:
        """Make one error out of all faults found, one line each.

        Parameters
        ----------
        faults : iterable of str
            Complete messages, in the order in which they are to be read; duplicates are shown once.
        advice : str, optional
            A last line, for what helps against all of them.

        Returns
        -------
        JourneyliftError
            An error of this class whose ``faults`` are the messages.

        Examples
        --------
        >>> StudyError.collect(["a is wrong.", "b is wrong."]).faults
        ('a is wrong.', 'b is wrong.')
        """
        lines = tuple(dict.fromkeys(faults))
        return cls("\n".join([*lines, advice] if advice else lines), lines)

    def __reduce__(self) -> tuple[type[Self], tuple[str, tuple[str, ...]]]:
        return type(self), (self.message, self.faults)


class StudyError(JourneyliftError):
    """The study or the initiatives file is wrong; repair the file."""

    exit_code = 2


class DataError(JourneyliftError):
    """The tables make the study meaningless; repair the tables or their mapping."""

    exit_code = 3


class LeakError(JourneyliftError):
    """A feature knows more than could be known at the cutoff."""

    exit_code = 4


class EmptyResultError(JourneyliftError):
    """Nothing can be learned: no cutoff with enough history, one class only, no churners."""

    exit_code = 5


class StoreError(JourneyliftError):
    """The store cannot be read or written."""

    exit_code = 6


class ModelError(JourneyliftError):
    """No champion, or model and features disagree."""

    exit_code = 7


class UnsupportedError(JourneyliftError):
    """A question that the study cannot answer, such as simulating touchpoints on a flat table."""

    exit_code = 8


class AlarmError(JourneyliftError):
    """A batch of scores needs action, and the command was told to fail then."""

    exit_code = 9


def closest(name: str, known: Iterable[str]) -> str:
    """Hint at the known name nearest to an unknown one.

    Parameters
    ----------
    name : str
        What was written.
    known : iterable of str
        What could have been meant.

    Returns
    -------
    str
        ``" Did you mean 'x'?"`` with a leading blank, or an empty string when nothing is near.

    Examples
    --------
    >>> closest("custmer_id", ["customer_id", "journey"])
    " Did you mean 'customer_id'?"
    >>> closest("zzz", ["customer_id"])
    ''
    """
    by_folded = {other.casefold(): other for other in sorted(known, reverse=True)}
    found = get_close_matches(name.casefold(), sorted(by_folded), n=1, cutoff=0.6)
    return f" Did you mean '{by_folded[found[0]]}'?" if found else ""


def in_full(amount: float) -> str:
    """Write an amount with all its digits, but those that are rounding of sums (beyond the twelfth).

    Parameters
    ----------
    amount : float
        Any number.

    Returns
    -------
    str

    Examples
    --------
    >>> in_full(1234564.0), in_full(0.1 + 0.2), in_full(2e13)
    ('1234564', '0.3', '20000000000000')
    """
    return _plain(Decimal(f"{amount:.12g}"))


def rounded_up(amount: float) -> str:
    """Write the least that is enough: as `in_full`, from 1 on rounded up to hundredths.

    Parameters
    ----------
    amount : float
        Finite.

    Returns
    -------
    str

    Examples
    --------
    >>> rounded_up(1234564.001), rounded_up(12.0), rounded_up(0.1 + 0.2)
    ('1234564.01', '12', '0.3')
    """
    exact = Decimal(f"{amount:.12g}")
    return _plain(exact.quantize(Decimal("0.01"), ROUND_CEILING) if 1 <= abs(exact) < Decimal("1e20") else exact)


def _plain(amount: Decimal) -> str:
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
