"""YAML whose every value knows its line, so that a fault can name the place where it stands.

``compose`` reads the text, ``validated`` turns it into a pydantic model and collects every fault at once. Used for
the study and for the initiatives.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from features.document_limits import too_deep, too_long, too_much
from features.errors import StudyError, closest

__all__ = ["Fault", "Location", "Marked", "Rules", "compose", "validated"]

Location: TypeAlias = tuple[int | str, ...]
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, and where.

    Parameters
    ----------
    where : tuple of int and str
        Keys and positions that lead to the value, such as ``("measures", 1, "kind")``.
    message : str
        What is wrong, what was expected, what to do.
    at_key : bool
        Whether the key itself is at fault and not its value.
    """

    where: Location
    message: str
    at_key: bool = False


Rules: TypeAlias = Callable[[object], Iterable[Fault]]


@dataclass(frozen=True, slots=True)
class Marked:
    """A YAML document: its plain value, and the nodes that hold the lines.

    Parameters
    ----------
    value : object
        Mappings, lists and scalars.
    root : yaml.Node or None
        The same document as nodes; None when the text is empty.
    origin : str
        Name of the file, as shown in messages.
    faults : tuple of Fault
        What is already wrong with the text: keys given twice.
    """

    value: object
    root: yaml.Node | None
    origin: str
    faults: tuple[Fault, ...] = ()

    def line(self, where: Location, *, at_key: bool = False) -> int:
        """Give the line (from 1) of a value, or of the nearest thing around it that exists."""
        node, line = self.root, 1
        for depth, part in enumerate(where):
            found = _child(node, part)
            if found is None:
                break
            key, node = found
            is_last = depth == len(where) - 1
            line = (key if at_key or not is_last else node).start_mark.line + 1
        return line

    def text(self, fault: Fault) -> str:
        """Write a fault as ``file:line: path: message``."""
        path = _path(fault.where)
        place = f"{self.origin}:{self.line(fault.where, at_key=fault.at_key)}: "
        return f"{place}{path}: {fault.message}" if path else f"{place}{fault.message}"


def compose(text: str, origin: str) -> Marked:
    r"""Read YAML, keeping the line of every value.

    Parameters
    ----------
    text : str
        The document.
    origin : str
        Name of the file, as shown in messages.

    Returns
    -------
    Marked
        Value, nodes, and the keys that were given twice.

    Raises
    ------
    StudyError
        If the text is not YAML, holds a date that does not exist, or is larger than `features.document_limits` allows.

    Examples
    --------
    >>> marked = compose("journeys:\n  - name: support\n", "study.yaml")
    >>> marked.line(("journeys", 0, "name"))
    2
    """
    if fault := too_long(text):
        raise StudyError(f"{origin}: {fault}")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        if fault := too_much(root):
            raise StudyError(f"{origin}: {fault}")
        doubles = (*_doubles(root), *_half_characters(root))
        value = _construct(root)
    except yaml.MarkedYAMLError as error:
        raise StudyError(_syntax_message(error, origin)) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, int(error.position)) + 1
        raise StudyError(f"{origin}:{line}: a character that YAML does not allow. Remove it.") from None
    except RecursionError:
        raise StudyError(f"{origin}: {too_deep()}") from None
    except ValueError:
        line = next((node.start_mark.line + 1 for node in _scalars(root) if not _is_readable(node)), 1)
        raise StudyError(f"{origin}:{line}: a date or number that does not exist. Correct it.") from None
    return Marked(value, root, origin, doubles)


def validated(model: type[Model], marked: Marked, rules: Rules = lambda _: ()) -> Model:
    """Turn a document into a model, or raise one error that lists every fault with its line.

    Parameters
    ----------
    model : type
        A pydantic model with ``extra="forbid"``.
    marked : Marked
        From :func:`compose`.
    rules : callable, optional
        Takes the plain value and gives further faults (names that must exist elsewhere). It is asked even if the
        model already found faults, so it must not expect a well-formed document.

    Returns
    -------
    Model
        The filled model.

    Raises
    ------
    StudyError
        With one line for each fault, in the order of the file.
    """
    faults = list(marked.faults)
    filled: Model | None = None
    if any(fault.where == () for fault in marked.faults):
        raise StudyError.collect(marked.text(fault) for fault in marked.faults)
    if isinstance(marked.value, dict):
        faults += rules(marked.value)
        try:
            filled = model.model_validate(marked.value)
        except ValidationError as error:
            faults += [_fault(model, details) for details in error.errors(include_url=False)]
    else:
        faults.append(Fault((), f"the file holds {_shown(marked.value)}. Expected keys such as {_keys(model)}."))
    if filled is None or faults:
        ordered = sorted(faults, key=lambda fault: marked.line(fault.where, at_key=fault.at_key))
        raise StudyError.collect(marked.text(fault) for fault in ordered)
    return filled


def _path(where: Location) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in where)
    return "".join(parts).removeprefix(".")


def _child(node: yaml.Node | None, part: int | str) -> tuple[yaml.Node, yaml.Node] | None:
    """Key node and value node of one step down the document."""
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None


def _scalars(root: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    """All scalars, each once; a document may hold itself."""
    waiting, seen = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.ScalarNode):
            yield node
        elif isinstance(node, yaml.CollectionNode) and id(node) not in seen:
            seen.add(id(node))
            for item in node.value:
                waiting.extend(item if isinstance(item, tuple) else (item,))


def _half_characters(root: yaml.Node | None) -> Iterator[Fault]:
    """Find surrogates, which only escapes can write and nothing can store."""
    if any("\ud800" <= letter <= "\udfff" for scalar in _scalars(root) for letter in str(scalar.value)):
        yield Fault((), "an escape such as \\ud800 is half a character. Write the character itself.")


def _is_readable(node: yaml.ScalarNode) -> bool:
    try:
        _construct(node)
    except ValueError:
        return False
    return True


def _construct(root: yaml.Node | None) -> object:
    return None if root is None else yaml.constructor.SafeConstructor().construct_document(root)


def _doubles(node: yaml.Node | None, where: Location = (), above: frozenset[int] = frozenset()) -> Iterator[Fault]:
    """Faults for keys given twice; ``above`` holds the nodes around, so that a document within itself ends."""
    if not isinstance(node, yaml.CollectionNode) or id(node) in above:
        return
    above |= {id(node)}
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen and name != "<<":
                yield Fault((*where, name), f"the key is given twice (lines {seen[name]} and {line}). Keep one.")
            seen[name] = line
            yield from _doubles(value, (*where, name), above)
    else:
        for position, item in enumerate(node.value):
            yield from _doubles(item, (*where, position), above)


def _syntax_message(error: yaml.MarkedYAMLError, origin: str) -> str:
    mark = error.problem_mark or error.context_mark
    line = mark.line + 1 if mark else 1
    return f"{origin}:{line}: this is not YAML: {error.problem or error.context}. Check indentation, colons and quotes."


def _fault(model: type[BaseModel], details: ErrorDetails) -> Fault:
    """Say in our words what pydantic found."""
    where, kind, value = details["loc"], details["type"], details["input"]
    context = details.get("ctx", {})
    if kind == "missing":
        return Fault(where[:-1], f"'{where[-1]}' is missing. Add it.", at_key=True)
    if kind == "extra_forbidden":
        known = _keys_at(model, where[:-1])
        hint = closest(str(where[-1]), known)
        return Fault(where, f"unknown key.{hint} Known keys: {', '.join(known)}.", at_key=True)
    if kind == "literal_error":
        allowed = re.findall(r"'([^']*)'", str(context["expected"]))
        hint = closest(str(value), allowed)
        return Fault(where, f"{_shown(value)} is not one of {', '.join(allowed)}.{hint}")
    if kind == "value_error":
        return Fault(where, str(context["error"]))
    return Fault(
        where, f"{_shown(value)} does not fit: {_PLAIN.get(kind, details['msg'])}.", at_key=kind == "invalid_key"
    )


_PLAIN = {
    "string_type": "expected text; put quotes around a number, a date, yes or no",
    "float_type": "expected a number",
    "int_type": "expected a whole number",
    "bool_type": "expected true or false",
    "tuple_type": "expected a list, such as [a, b]",
    "too_short": "expected at least one",
    "dict_type": "expected keys with values, such as {a: b}",
    "model_type": "expected keys with values, such as {a: b}",
    "model_attributes_type": "expected keys with values, such as {a: b}",
    "date_type": "expected a date, such as 2025-01-31",
    "date_from_datetime_parsing": "expected a date, such as 2025-01-31",
    "invalid_key": "a key must be text; put quotes around it",
}


def _shown(value: object) -> str:
    if value is None or value in ([], {}):
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "keys with values"
    if isinstance(value, list | tuple):
        return "a list"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _keys_at(model: type[BaseModel], where: Location) -> list[str]:
    """Keys that are allowed at a place of the document."""
    here: type[BaseModel] | None = model
    for part in where:
        if here is None or isinstance(part, int):
            continue
        names = {field.alias or name: field.annotation for name, field in here.model_fields.items()}
        here = _model_in(names.get(part))
    return [] if here is None else _key_list(here)


def _model_in(annotation: object) -> type[BaseModel] | None:
    """Find the model inside ``X | None`` or ``tuple[X, ...]``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for inner in get_args(annotation) if (found := _model_in(inner)) is not None), None)


def _key_list(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _keys(model: type[BaseModel]) -> str:
    return ", ".join(_key_list(model)[:5])
