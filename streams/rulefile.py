"""Versions of the rules, from a file that a person writes (YAML or JSON): each fault with its line and field.

The file is read along its nodes, which know their lines, and along the types of `schemas.policy`. A value is
taken as the field wants it, whatever YAML would make of it: 21:00 is a time of day, `no` a name, 007 a user.
"""

import types
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, NoReturn, Union, get_args, get_origin
from zoneinfo import available_timezones

import msgspec
import yaml
from msgspec import Meta, Struct

from schemas.errors import InputError
from schemas.events import EpochMs, TenantId
from schemas.policy import Experiment, Label, Policy, Rules
from schemas.vocabulary import TIERS

_SHOWN = 60
_NULL = "tag:yaml.org,2002:null"


def load_rules(path: Path) -> tuple[Rules, ...]:
    """The version of the rules that the file `path` holds, or the list of versions.

    Raises:
        InputError: the file cannot be read, or used; the text names line, field and the value's problem.
    """
    return parse_rules(read_text(path, "the rules"), path.name)


def parse_rules(text: str, name: str) -> tuple[Rules, ...]:
    """The versions of the rules in `text`, the content of the file `name`.

    >>> (rules,) = parse_rules("version: v1\\ndefault: {quiet_hours: {begin: 21:00, end: 08:00}}", "p.yaml")
    >>> rules.default.quiet_hours.begin
    '21:00'
    >>> parse_rules("version: v1\\ndefault:\\n  caps: [{scripts: 1, days: 0}]", "p.yaml")
    Traceback (most recent call last):
    schemas.errors.InputError: p.yaml line 3: default.caps[0].days is 0, a whole number from 1 to 31 expected

    Raises:
        InputError: it cannot be used; the text names line, field and the value's problem.
    """
    root = nodes(text, name, "a version of the rules")
    reader = Reader(name)
    if not isinstance(root, yaml.SequenceNode):
        return (reader.read(root, Rules, ""),)
    found: tuple[Rules, ...] = reader.read(root, tuple[Rules, ...], "")
    reader.distinct(root, found)
    return found


def read_text(path: Path, what: str) -> str:
    """The text of the file `path`, which holds `what`.

    Raises:
        InputError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {what} in {path}: {error}") from error


def nodes(text: str, name: str, expected: str) -> yaml.Node:
    """The nodes of `text`, the content of the file `name`, which is to hold what is `expected`.

    Raises:
        InputError: it is neither YAML nor JSON, or empty.
    """
    try:
        # Tabs may indent JSON, but not YAML; in neither can one stand within a plain value.
        root = yaml.compose(text.replace("\t", " "), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"{name}{line}: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{name}: {error}") from None
    if root is None or root.value == []:
        raise InputError(f"{name} is empty, {expected} expected")
    return root


def line_of(root: yaml.Node, path: Iterable[str | int]) -> int:
    """The line of what stands at `path`, names and places from `root` on.

    >>> line_of(nodes("a:\\n  b:\\n    - 1\\n    - 2", "f.yaml", "names"), ("a", "b", 1))
    4
    """
    node = root
    for part in path:
        if isinstance(part, int):
            node = node.value[part]
        else:
            node = next(value for key, value in node.value if key.value == part)
    return int(node.start_mark.line) + 1


class Reader:
    """Reads the nodes of the file `name` as values of a type; `whole` is what people call all of it.

    Each method's `path` is where the node stands, for people.
    """

    def __init__(self, name: str, whole: str = "the version") -> None:
        self._name, self._whole = name, whole

    def read(self, node: yaml.Node, kind: Any, path: str) -> Any:
        """The value of `node`, which is to be a `kind`."""
        origin, args = get_origin(kind), get_args(kind)
        if origin is Annotated and get_origin(args[0]) is not None:
            found = self.read(node, args[0], path)
            return self._converted(node, found, kind, path)
        if origin in (Union, types.UnionType):
            if node.tag == _NULL:
                return None
            return self.read(node, next(arg for arg in args if arg is not types.NoneType), path)
        if origin is dict:
            fields = self._fields(node, path)
            return {
                self.read(key, args[0], f"the name {_within(path, key.value)}"): self.read(
                    value, args[1], _within(path, key.value)
                )
                for key, value in fields.values()
            }
        if origin in (tuple, frozenset):
            if not isinstance(node, yaml.SequenceNode):
                self._fail(node, path, f"is {_told(node)}, a list expected")
            return origin(self.read(one, args[0], f"{path}[{i}]") for i, one in enumerate(node.value))
        if isinstance(kind, type) and issubclass(kind, Struct):
            return self._struct(node, kind, path)
        return self._scalar(node, kind, path)

    def distinct(self, root: yaml.SequenceNode, versions: tuple[Rules, ...]) -> None:
        """Check that of several versions each has its own name and time."""
        for i, (node, rules) in enumerate(zip(root.value, versions, strict=True)):
            for other in versions[:i]:
                for field in ("version", "since"):
                    value = getattr(rules, field)
                    if value == getattr(other, field):
                        self._fail(node, f"[{i}].{field}", f"is {value}, like that of another version")

    def _fields(self, node: yaml.Node, path: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
        """What a mapping holds: the nodes of each name and value."""
        if not isinstance(node, yaml.MappingNode):
            self._fail(node, path, f"is {_told(node)}, names with values expected")
        found: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._fail(key, path, "has a name that is no text")
            if key.value in found:
                first = found[key.value][0].start_mark.line + 1
                self._fail(key, _within(path, key.value), f"is given twice, first in line {first}")
            found[key.value] = key, value
        return found

    def _struct(self, node: yaml.Node, kind: type[Struct], path: str) -> Any:
        fields, known = self._fields(node, path), {one.name: one for one in msgspec.structs.fields(kind)}
        for name, (key, _) in fields.items():
            if name not in known:
                near = get_close_matches(name, known, 1, cutoff=0.0)[0]
                self._fail(key, _within(path, name), f"is no field; the closest is {near}")
        for name, one in known.items():
            if one.required and name not in fields:
                self._fail(node, _within(path, name), "is missing")
        values = {
            name: self.read(value, known[name].type, _within(path, name))
            for name, (_, value) in fields.items()
        }
        self._check(kind, fields, values, path)
        try:
            return kind(**values)
        except ValueError as error:  # of several fields together; the text begins with the first
            at = fields.get(str(error).split()[0], (node, node))[1]
            self._fail(at, path, str(error), joint=": " if path else " ")

    def _check(
        self,
        kind: type[Struct],
        fields: Mapping[str, tuple[yaml.Node, yaml.Node]],
        values: Mapping[str, Any],
        path: str,
    ) -> None:
        """What the type lets pass, and a person has surely not meant."""
        where = values.get("time_zone")
        if kind is Policy and where is not None and where not in available_timezones():
            near = get_close_matches(where, available_timezones(), 1, cutoff=0.0)[0]
            problem = f"is {where!r}, which is no zone of the IANA data base; the closest is {near}"
            self._fail(fields["time_zone"][1], _within(path, "time_zone"), problem)
        if kind is Experiment and "by_context" in values:
            for context, (key, _) in self._fields(fields["by_context"][1], path).items():
                if context.partition("/")[0] not in TIERS:
                    problem = f"is for no tier, expected tier or tier/plan with one of {', '.join(TIERS)}"
                    self._fail(key, _within(_within(path, "by_context"), context), problem)

    def _scalar(self, node: yaml.Node, kind: Any, path: str) -> Any:
        if not isinstance(node, yaml.ScalarNode) or node.tag == _NULL:
            self._fail(node, path, f"is {_told(node)}, {_expected(kind)} expected")
        text = _joined(node.value)
        if kind is EpochMs and not text.lstrip("-").isdecimal():
            return self._time(node, text, path)
        return self._converted(node, text, kind, path)

    def _time(self, node: yaml.Node, text: str, path: str) -> int:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            problem = f"is {_told(node)}, a time such as 2024-12-31T18:00Z or epoch ms expected"
            self._fail(node, path, problem)
        at_ms = round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
        return int(self._converted(node, at_ms, EpochMs, path))

    def _converted(self, node: yaml.Node, value: Any, kind: Any, path: str) -> Any:
        try:
            return msgspec.convert(value, kind, strict=False)
        except msgspec.ValidationError:
            near = ""
            if isinstance(kind, type) and issubclass(kind, Enum):
                near = f"; the closest is {get_close_matches(value, list(kind), 1, cutoff=0.0)[0]}"
            self._fail(node, path, f"is {_told(node)}, {_expected(kind)} expected{near}")

    def _fail(self, node: yaml.Node, path: str, problem: str, joint: str = " ") -> NoReturn:
        where = f"{self._name} line {node.start_mark.line + 1}:"
        raise InputError(f"{where} {path or self._whole}{joint}{problem}")


def _within(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _told(node: yaml.Node) -> str:
    """What stands there, as an error says it."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list" if node.value else "an empty list"
    if node.tag == _NULL:
        return "empty"
    text = str(node.value)
    shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    return repr(shown) if node.tag == "tag:yaml.org,2002:str" else shown


def _joined(text: str) -> str:
    """JSON may escape a character as two halves, which YAML leaves apart."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _expected(kind: Any) -> str:
    """What a value of the type may be, for people."""
    args = get_args(kind)
    if kind in (Label, TenantId):
        return "1 to 64 letters, digits, or any of _ . -"
    if get_origin(kind) is Annotated:
        base, meta = args[0], next((one for one in args[1:] if isinstance(one, Meta)), Meta())
        if meta.pattern is not None:
            return meta.description or f"text that matches {meta.pattern}"
        if base is str:
            return f"text of {meta.min_length} to {meta.max_length} characters"
        if meta.min_length is not None:
            return f"at least {meta.min_length}"
        whole = "a whole number" if base is int else "a number"
        if meta.le is not None:
            return f"{whole} from {meta.ge:g} to {meta.le:g}"
        return f"{whole} of at least {meta.ge:g}"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"one of {', '.join(str(one.value) for one in kind)}"
    return {bool: "true or false", int: "a whole number", float: "a number"}.get(kind, "text")
