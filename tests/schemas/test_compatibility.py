"""Changes that break readers or senders are found, and those that break nobody are let through."""

from typing import Any

import pytest

from schemas.compatibility import Direction, breaks
from schemas.errors import InputError
from schemas.generate import VERSION, direction_of, record_types
from schemas.release import check, may_break, released_version, since_release

TIERS = {"title": "Tier", "enum": ["low", "high"]}
RULES = {"title": "HeldBy", "enum": ["consent", "guard"]}
OLD: dict[str, Any] = {
    "id": {"type": "string", "pattern": "^a", "maxLength": 9},
    "count": {"type": "integer", "minimum": 0},
    "share": {"type": "number"},
    "sure": {"type": "boolean", "default": True},
    "tier": {"$ref": "#/$defs/Tier"},
    "held_by": {"anyOf": [{"$ref": "#/$defs/HeldBy"}, {"type": "null"}]},
    "sent": {"type": "array", "items": {"type": "integer"}},
    "weights": {"type": "object", "additionalProperties": {"type": "number"}},
}
REQUIRED = ("id", "count", "tier")


def schema(
    properties: dict[str, Any],
    required: tuple[str, ...] = REQUIRED,
    tiers: Any = TIERS,
    rules: Any = RULES,
    **more: Any,
) -> dict[str, Any]:
    record = {"title": "R", "type": "object", "properties": properties, "required": list(required), **more}
    return {"$ref": "#/$defs/R", "$defs": {"R": record, "Tier": tiers, "HeldBy": rules}}


def found(direction: Direction, new: dict[str, Any]) -> list[str]:
    return [str(one) for one in breaks("R", direction, schema(OLD), new)]


def other(**changed: Any) -> dict[str, Any]:
    return schema(OLD | changed)


def without(name: str) -> dict[str, Any]:
    return schema({field: node for field, node in OLD.items() if field != name})


ANYTHING = {"type": "string"}
MORE_TIERS = {"title": "Tier", "enum": ["low", "high", "odd"]}
MORE_RULES = {"title": "HeldBy", "enum": ["consent", "guard", "odd"]}
FEWER_RULES = {"title": "HeldBy", "enum": ["consent"]}


@pytest.mark.parametrize("direction", ["published", "accepted"])
def test_what_stays_the_same_or_is_only_added_breaks_nobody(direction: Direction) -> None:
    assert found(direction, schema(OLD)) == []
    assert found(direction, other(new=ANYTHING)) == []
    assert found(direction, schema(OLD, description="other words")) == []


@pytest.mark.parametrize("direction", ["published", "accepted"])
def test_a_field_that_is_gone_breaks_both(direction: Direction) -> None:
    assert found(direction, without("share")) == ["R.share: is removed or renamed"]


@pytest.mark.parametrize("direction", ["published", "accepted"])
def test_another_default_breaks_both_since_it_is_what_a_left_out_field_means(direction: Direction) -> None:
    (problem,) = found(direction, other(sure={"type": "boolean", "default": False}))
    assert problem.startswith("R.sure: means another thing where it is left out: True, now False")


PUBLISHED = [
    (other(count={"type": "number", "minimum": 0}), "R.count: may now be number"),
    (other(share={"anyOf": [{"type": "number"}, {"type": "null"}]}), "R.share: may now be null"),
    (other(id={"type": "string", "pattern": "^b", "maxLength": 9}), "R.id: pattern is another: ^a, now ^b"),
    (other(id={"type": "string", "pattern": "^a"}), "R.id: maxLength is wider: 9, now none"),
    (other(count={"type": "integer", "minimum": -1}), "R.count: minimum is wider: 0, now -1"),
    (schema(OLD, ("id", "count")), "R.tier: was always there, and may be left out now"),
    (schema(OLD, tiers=MORE_TIERS), "R.tier: has further values, which readers tell apart: odd"),
    (other(sent={"type": "array", "items": ANYTHING}), "R.sent[]: may now be string"),
    (other(weights={"type": "object", "additionalProperties": ANYTHING}), "R.weights.*: may now be string"),
]
ACCEPTED = [
    (other(share={"type": "integer"}), "R.share: may no longer be number"),
    (other(held_by={"$ref": "#/$defs/HeldBy"}), "R.held_by: may no longer be null"),
    (other(id={"type": "string", "pattern": "^a", "maxLength": 8}), "R.id: maxLength is narrower: 9, now 8"),
    (other(count={"type": "integer", "minimum": 1}), "R.count: minimum is narrower: 0, now 1"),
    (
        other(sure={"type": "boolean", "default": True, "pattern": "x"}),
        "R.sure: pattern is another: None, now x",
    ),
    (schema(OLD, (*REQUIRED, "share")), "R.share: could be left out, and is required now"),
    (schema(OLD | {"new": ANYTHING}, (*REQUIRED, "new")), "R.new: is new and required"),
    (schema(OLD, rules=FEWER_RULES), "R.held_by: no longer takes guard"),
    (schema(OLD, additionalProperties=False), "R: no longer takes fields that it does not know"),
]


@pytest.mark.parametrize(("new", "problem"), PUBLISHED)
def test_what_a_reader_would_not_understand_is_found_and_no_harm_to_senders(new: Any, problem: str) -> None:
    assert found("published", new) == [problem]


@pytest.mark.parametrize(("new", "problem"), ACCEPTED)
def test_what_a_sender_would_have_to_change_is_found(new: Any, problem: str) -> None:
    assert found("accepted", new) == [problem]


def test_what_is_narrower_breaks_no_reader_and_what_is_wider_no_sender() -> None:
    assert found("published", other(share={"type": "integer"})) == []
    assert found("published", schema(OLD, rules=FEWER_RULES)) == []
    assert found("accepted", other(count={"type": "number", "minimum": 0})) == []
    assert found("accepted", schema(OLD, tiers=MORE_TIERS)) == []


def test_the_rules_that_hold_something_back_may_become_more() -> None:
    assert found("published", schema(OLD, rules=MORE_RULES)) == []


def test_a_type_that_holds_itself_is_compared_once() -> None:
    def tree(kind: str) -> dict[str, Any]:
        node = {"type": "object", "properties": {"value": {"type": kind}, "next": {"$ref": "#/$defs/T"}}}
        return {"$ref": "#/$defs/T", "$defs": {"T": node}}

    problems = {str(one) for one in breaks("T", "published", tree("integer"), tree("string"))}
    assert "T.value: may now be string" in problems


def test_a_word_of_json_schema_that_is_not_known_is_an_error() -> None:
    with pytest.raises(InputError, match="does not know oneOf"):
        found("published", other(share={"oneOf": []}))


def test_nothing_breaks_with_the_last_release_unless_the_version_says_so() -> None:
    problems = "\n".join(str(one) for one in since_release())
    assert not problems or may_break(released_version(), VERSION), (
        f"this breaks with release {released_version()}:\n{problems}\n"
        "where it is meant, raise VERSION in schemas/generate.py and run: python -m schemas.release"
    )


def test_each_record_has_one_direction() -> None:
    directions = {record.__name__: direction_of(record) for record in record_types()}
    assert directions["Login"] == directions["UserOutcome"] == directions["Rules"] == "accepted"
    assert directions["Decision"] == directions["Draft"] == "published"


def test_a_new_release_is_a_later_one_and_says_what_it_breaks() -> None:
    broken = breaks("R", "published", schema(OLD), without("share"))
    check("0.1.0", "0.1.1", [])
    check("0.1.0", "0.2.0", broken)
    check("1.9.0", "2.0.0", broken)
    for old, new in (("0.1.0", "0.1.0"), ("0.2.0", "0.1.9"), ("0.1.0", "0.1.0.1"), ("0.1.0", "next")):
        with pytest.raises(InputError, match=r"is released|is no version"):
            check(old, new, [])
    with pytest.raises(InputError, match="share: is removed"):
        check("1.0.0", "1.1.0", broken)
