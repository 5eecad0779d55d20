"""Luck as a pure function: the same question always gets the same random number.

A generator hands out numbers in the order in which they are asked for, so one more customer or one contact fewer shifts
everybody else's luck. Here a number belongs to its *keys* (purpose, week, customer...), and a world rerun under an
initiative differs only where the initiative made it differ: common random numbers, customer by customer.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

__all__ = ["Key", "normal", "uniform"]

Key = int | NDArray[np.int64]

_GOLDEN = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB
_MASK = (1 << 64) - 1


def uniform(seed: int, purpose: str, *keys: Key) -> NDArray[np.float64]:
    """Draw uniform numbers in the open interval (0, 1) that depend on nothing but the arguments.

    Not for cryptography, and not a replacement for a ``numpy.random.Generator`` where order does not matter.

    Parameters
    ----------
    seed : int
        The world's seed, any integer.
    purpose : str
        What the number is for; two purposes are independent of each other.
    *keys : int or ndarray of int64
        What the number belongs to, for instance week and customer. Arrays are broadcast against each other. The order
        of the keys matters; scalars first are cheapest, for they cost one step instead of one per element.

    Returns
    -------
    ndarray of float64
        Shape of the broadcast keys, ``()`` when all of them are scalars.

    Notes
    -----
    A chain: state = hash(seed, purpose); for each key, state = output number ``key`` of the SplitMix64 stream that
    starts at state. The top 53 bits plus one half, divided by 2**53, give the number. Cost: about ten passes over an
    array key.

    References
    ----------
    Steele, Lea, Flood 2014, Fast splittable pseudorandom number generators, doi 10.1145/2660193.2660195, figure 17.

    Examples
    --------
    >>> import numpy as np
    >>> customers = np.arange(3)
    >>> bool((uniform(7, "wait", 12, customers)[1:] == uniform(7, "wait", 12, customers[1:])).all())
    True
    >>> uniform(7, "wait", 12, customers).shape
    (3,)
    """
    bits = _bits(seed, purpose, keys) >> np.uint64(11)
    return (bits.astype(np.float64) + 0.5) * 2.0**-53


def normal(seed: int, purpose: str, *keys: Key) -> NDArray[np.float64]:
    """Draw standard normal numbers that depend on nothing but the arguments.

    Parameters
    ----------
    seed, purpose, *keys
        As in `uniform`.

    Returns
    -------
    ndarray of float64
        The normal quantile of `uniform` at the same arguments; between -8.3 and 8.3.

    Examples
    --------
    >>> bool(normal(7, "noise", 3) == normal(7, "noise", 3))
    True
    """
    return np.asarray(ndtri(uniform(seed, purpose, *keys)), dtype=np.float64)


def _bits(seed: int, purpose: str, keys: tuple[Key, ...]) -> NDArray[np.uint64]:
    """Chain the keys; Python integers as long as all keys were scalars, arrays from the first array on."""
    digest = hashlib.blake2b(f"{seed}:{purpose}".encode(), digest_size=8).digest()
    scalar = int.from_bytes(digest, "little")
    state: NDArray[np.uint64] | None = None
    for key in keys:
        if state is None and isinstance(key, int | np.integer):
            scalar = _mix_scalar((scalar + _GOLDEN * (int(key) + 1)) & _MASK)
            continue
        # 0-d results would become numpy scalars, whose overflow warns: stay at one dimension or more.
        before = np.full(1, scalar, dtype=np.uint64) if state is None else state
        step = np.atleast_1d(np.asarray(key, dtype=np.int64)).astype(np.uint64) + np.uint64(1)
        state = _mix(before + step * np.uint64(_GOLDEN))
    return np.array(scalar, dtype=np.uint64) if state is None else state


def _mix_scalar(value: int) -> int:
    """Scramble 64 bits (SplitMix64's finaliser) in Python integers."""
    value = ((value ^ (value >> 30)) * _FIRST) & _MASK
    value = ((value ^ (value >> 27)) * _SECOND) & _MASK
    return value ^ (value >> 31)


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Scramble 64 bits an element (SplitMix64's finaliser)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(_FIRST)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(_SECOND)
    return value ^ (value >> np.uint64(31))
