"""Initiatives that need others: a circle among them can never begin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["circle"]


def circle(needs: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Find a circle of needs.

    Parameters
    ----------
    needs : mapping of str to sequence of str
        What each initiative needs; names that are no key need nothing.

    Returns
    -------
    tuple of str
        From a member along its needs back to itself, the first in the order of names; empty where there is none.

    Examples
    --------
    >>> circle({"a": ["b"], "b": ["c"], "c": ["b"]})
    ('b', 'c', 'b')
    >>> circle({"a": ["b"]})
    ()
    """
    done: set[str] = set()
    for start in sorted(needs):
        found = _walk([start], needs, done)
        if found:
            return tuple(found)
    return ()


def _walk(path: list[str], needs: Mapping[str, Sequence[str]], done: set[str]) -> list[str]:
    """Follow needs until a name comes back; names without a way back are done."""
    if path[-1] in done:
        return []
    for other in sorted(needs.get(path[-1], ())):
        if other in path:
            return [*path[path.index(other) :], other]
        found = _walk([*path, other], needs, done)
        if found:
            return found
    done.add(path[-1])
    return []
