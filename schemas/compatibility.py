"""What may change in a record without breaking those who read it, or those who send it.

A record that holdfast publishes may say more than before, and never less or other things: a reader of the
last release understands every new record. One that it accepts may ask for less than before, and never for
more: whatever a sender of the last release sends is still taken. docs/consuming.md has the rules in words.

Libraries that compare JSON Schemas were looked at: the one that knows both directions calls itself alpha, and
none lets some enums grow. What the types here give needs few of JSON Schema's words, and a word that is not
known here is an error.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct

from schemas.errors import InputError

Schema = Mapping[str, Any]
Direction = Literal["published", "accepted"]

CLOSED = frozenset({"Tier", "Outcome", "Cause"})
"""Published enums that readers may tell apart exhaustively; all others may get further values."""
_UPPER = ("maximum", "maxLength", "maxItems")
_LOWER = ("minimum", "minLength", "minItems")
_SAME = ("pattern", "contentEncoding", "uniqueItems")
_KNOWN = {
    *("$ref", "anyOf", "type", "title", "description", "default", "enum", "properties", "required", "items"),
    *("additionalProperties", "propertyNames", *_UPPER, *_LOWER, *_SAME),
}


class Break(Struct, frozen=True):
    """A change that breaks somebody: of which field of which record, and what rule it breaks."""

    record: str
    field: str
    rule: str

    def __str__(self) -> str:
        return f"{self.record}{self.field}: {self.rule}"


def breaks(record: str, direction: Direction, old: Schema, new: Schema) -> list[Break]:
    """All changes from `old` to `new` (JSON Schemas of `record`) that break readers or senders.

    >>> def schema(**properties):
    ...     return {"type": "object", "properties": properties, "required": list(properties)}
    >>> text = {"type": "string"}
    >>> for direction in ("published", "accepted"):
    ...     for was, now in ((schema(a=text), schema()), (schema(), schema(a=text))):
    ...         print(direction, *breaks("Record", direction, was, now))
    published Record.a: is removed or renamed
    published
    accepted Record.a: is removed or renamed
    accepted Record.a: is new and required

    Raises:
        InputError: a schema has a word that is not known here.
    """
    found = _Comparison(direction, old, new).nodes(old, new, "")
    return [Break(record, field, rule) for field, rule in dict.fromkeys(found)]


_Found = tuple[str, str]
"""The field and the rule."""


class _Comparison:
    """Two schemas, and the pairs of definitions that are compared already: they may hold themselves."""

    def __init__(self, direction: Direction, old: Schema, new: Schema) -> None:
        self._is_published = direction == "published"
        self._old, self._new = old.get("$defs", {}), new.get("$defs", {})
        self._seen: set[tuple[str, str, str]] = set()

    def nodes(self, old: Schema, new: Schema, field: str) -> Iterator[_Found]:
        """What breaks where `old` becomes `new`."""
        pair = (str(old.get("$ref")), str(new.get("$ref")), field)
        if pair in self._seen or field.count(".") > 12:
            return
        if "$ref" in old or "$ref" in new:
            self._seen.add(pair)
        yield from _default(old, new, field)
        was, now = _by_type(old, self._old), _by_type(new, self._new)
        # Published, a reader must know every type; accepted, none may be refused that was taken.
        for name in now.keys() - was.keys() if self._is_published else was.keys() - now.keys():
            if not (name == "integer" and "number" in (was if self._is_published else now)):
                yield field, f"may {'now' if self._is_published else 'no longer'} be {name}"
        for name in sorted(was.keys() & now.keys()):
            yield from self._same_type(was[name], now[name], field)

    def _same_type(self, old: Schema, new: Schema, field: str) -> Iterator[_Found]:
        yield from self._limits(old, new, field)
        yield from self._values(old, new, field)
        if "properties" in old or "properties" in new:
            yield from self._properties(old, new, field)
        if "items" in old and "items" in new:
            yield from self.nodes(old["items"], new["items"], f"{field}[]")
        extra_old, extra_new = old.get("additionalProperties", True), new.get("additionalProperties", True)
        if isinstance(extra_old, Mapping) and isinstance(extra_new, Mapping):
            yield from self.nodes(extra_old, extra_new, f"{field}.*")
        elif not self._is_published and extra_old is not False and extra_new is False:
            yield field, "no longer takes fields that it does not know"

    def _properties(self, old: Schema, new: Schema, field: str) -> Iterator[_Found]:
        was, now = old.get("properties", {}), new.get("properties", {})
        must, must_now = set(old.get("required", ())), set(new.get("required", ()))
        for name in was:
            if name not in now:
                yield f"{field}.{name}", "is removed or renamed"
                continue
            if self._is_published and name in must - must_now:
                yield f"{field}.{name}", "was always there, and may be left out now"
            if not self._is_published and name in must_now - must:
                yield f"{field}.{name}", "could be left out, and is required now"
            yield from self.nodes(was[name], now[name], f"{field}.{name}")
        if not self._is_published:
            yield from (
                (f"{field}.{name}", "is new and required") for name in now if name in must_now - was.keys()
            )

    def _values(self, old: Schema, new: Schema, field: str) -> Iterator[_Found]:
        was, now = old.get("enum"), new.get("enum")
        if self._is_published:
            if was is None or (now is not None and old.get("title") and old["title"] not in CLOSED):
                return
            added = ["any value"] if now is None else [str(value) for value in now if value not in was]
            if added:
                yield field, f"has further values, which readers tell apart: {', '.join(added)}"
        elif now is not None:
            gone = ["all others"] if was is None else [str(value) for value in was if value not in now]
            if gone:
                yield field, f"no longer takes {', '.join(gone)}"

    def _limits(self, old: Schema, new: Schema, field: str) -> Iterator[_Found]:
        for words, sign in ((_UPPER, 1), (_LOWER, -1)):
            for word in words:
                was, now = (one.get(word, sign * float("inf")) * sign for one in (old, new))
                if now > was if self._is_published else now < was:
                    how = "wider" if self._is_published else "narrower"
                    yield field, f"{word} is {how}: {old.get(word, 'none')}, now {new.get(word, 'none')}"
        for word in _SAME:
            was, now = old.get(word), new.get(word)
            # A rule that is given up is no harm to senders, a new one none to readers.
            harmless = was is None if self._is_published else now is None
            if was != now and not harmless:
                yield field, f"{word} is another: {was}, now {now}"


def _default(old: Schema, new: Schema, field: str) -> Iterator[_Found]:
    """What a field that is left out means. That of a whole object has further fields as its type does."""
    was, now = old.get("default"), new.get("default")
    if "default" in old and was != now and not isinstance(was, dict | list):
        yield (
            field,
            f"means another thing where it is left out: {was}, now {now if 'default' in new else 'nothing'}",
        )


def _by_type(node: Schema, definitions: Schema) -> dict[str, Schema]:
    """What a node may be, by JSON type."""
    unknown = node.keys() - _KNOWN - {"$defs", "$schema"}
    if unknown:
        raise InputError(
            f"schemas.compatibility does not know {', '.join(sorted(unknown))}: teach it the word"
        )
    if "$ref" in node:
        return _by_type(definitions[node["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in node:
        return {name: one for each in node["anyOf"] for name, one in _by_type(each, definitions).items()}
    return {node.get("type", "string" if "enum" in node else "anything"): node}
