"""How large a YAML document may be: a few lines can stand for a thousand million values, or hold an endless number.

The largest real files (dozens of measures, hundreds of initiatives) stay far below every limit.
"""

from typing import Final

import yaml

__all__ = ["MOST_BYTES", "MOST_CHARACTERS", "MOST_DEEP", "MOST_VALUES", "too_deep", "too_long", "too_much"]

MOST_BYTES: Final = 500_000
"""Bytes of a study, an initiatives file or a scenario, which PyYAML reads in ten seconds."""

MOST_VALUES: Final = 100_000
"""Values of a document, one that is referred to by ``*name`` counted as often as it is."""

MOST_DEEP: Final = 40
"""Lists and mappings within each other."""

MOST_CHARACTERS: Final = 100
"""Characters of a number or a date: PyYAML takes the square of the time for a number written in base 60."""

_NUMBERS: Final = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "timestamp"))


def too_long(text: str) -> str:
    """Say that a text is too long to be read; empty where it is not.

    Parameters
    ----------
    text : str
        The document.

    Returns
    -------
    str
        What is wrong, what was expected, what to do.

    Examples
    --------
    >>> too_long("study: a")
    ''
    """
    if len(text) <= MOST_BYTES:
        return ""
    return (
        f"the file holds {len(text):,} characters. At most {MOST_BYTES:,} were expected. Leave out what is not needed."
    )


def too_deep() -> str:
    """Say that lists and mappings are nested too deeply."""
    return f"lists or keys lie within each other more than {MOST_DEEP} deep. Write them flatter."


def too_much(root: yaml.Node | None) -> str:
    r"""Say why the nodes of a document must not be turned into values; empty where they may.

    Parameters
    ----------
    root : yaml.Node or None
        From ``yaml.compose``, which keeps each ``*name`` as the one node that it refers to.

    Returns
    -------
    str
        What is wrong, what was expected, what to do.

    Notes
    -----
    Each node is looked at once, so the time grows with the text and not with what it says.

    Examples
    --------
    >>> doubled = (f"n{at}: &n{at} [*n{at - 1}, *n{at - 1}]" for at in range(1, 17))
    >>> too_much(yaml.compose("\n".join(["n0: &n0 [x, x]", *doubled])))
    'references (*name) make it more than 100,000 values. Write out what is needed.'
    """
    return _Count().fault(root)


class _Count:
    """Values of each node that was looked at."""

    def __init__(self) -> None:
        self.values: dict[int, int] = {}
        self.why = ""

    def fault(self, root: yaml.Node | None) -> str:
        values = 0 if root is None else self._of(root, ())
        if not self.why and values > MOST_VALUES:
            self.why = f"references (*name) make it more than {MOST_VALUES:,} values. Write out what is needed."
        return self.why

    def _of(self, node: yaml.Node, above: tuple[int, ...]) -> int:
        if id(node) in self.values:
            return self.values[id(node)]
        if id(node) in above:
            return 0  # it holds itself; what is made of it does too, and is told as what it is
        if len(above) > MOST_DEEP:
            self.why = too_deep()
            return 0
        if isinstance(node, yaml.CollectionNode):
            parts = [one for item in node.value for one in (item if isinstance(item, tuple) else (item,))]
            # Held down, as doubling it on each of ten thousand lines would make numbers of thousands of digits.
            found = min(1 + sum(self._of(one, (*above, id(node))) for one in parts), MOST_VALUES + 1)
        else:
            found = 1
            if node.tag in _NUMBERS and len(str(node.value)) > MOST_CHARACTERS:
                self.why = (
                    f"a number or date of {len(str(node.value)):,} characters (line {node.start_mark.line + 1}). At "
                    f"most {MOST_CHARACTERS} were expected. Put quotes around a text."
                )
        self.values[id(node)] = found
        return found
