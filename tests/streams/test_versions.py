"""How a version of the rules takes its place among others."""

from pathlib import Path

import msgspec
import pytest

from schemas.errors import InputError
from schemas.policy import Arm, Cap, Experiment, Policy, QuietHours, RuleBook, Rules
from streams.rulefile import load_rules, parse_rules
from streams.rules import LEAD_MS
from streams.versions import changes, placed, stated

NOW_MS = 1_700_000_000_000
OLD = Rules(version="old", since=1000, default=Policy(cooldown_days=1))
NEW = Rules(version="new")
EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "policies.yaml"


def place(rules: Rules, since_ms: int | None = None, decided: bool = True, *known: Rules) -> Rules | None:
    return placed(rules, RuleBook((OLD, *known)), NOW_MS, since_ms, lambda _: decided)


def test_a_version_holds_some_seconds_ahead_unless_file_or_command_say_when() -> None:
    stated_ms = msgspec.structs.replace(NEW, since=NOW_MS + 9)
    found = [place(NEW), place(stated_ms), place(stated_ms, NOW_MS + 7)]
    assert [one and one.since for one in found] == [NOW_MS + LEAD_MS, NOW_MS + 9, NOW_MS + 7]


def test_a_version_that_is_there_already_is_left_alone() -> None:
    assert place(OLD) is None
    assert place(msgspec.structs.replace(OLD, since=0)) is None


@pytest.mark.parametrize(
    ("rules", "since_ms", "told"),
    [
        (Rules(version="old"), None, "is there already and has another content"),
        (OLD, NOW_MS + 1, "is there already and holds from 1970-01-01"),
        (NEW, OLD.since, "version old holds from"),
        (NEW, NOW_MS - 1, "would not replay"),
    ],
)
def test_what_would_change_decisions_or_versions_is_refused(
    rules: Rules, since_ms: int | None, told: str
) -> None:
    with pytest.raises(InputError, match=told):
        place(rules, since_ms)


def test_a_past_without_decisions_may_have_other_rules() -> None:
    found = place(NEW, NOW_MS - 1, False)
    assert found is not None and found.since == NOW_MS - 1


def test_changes_are_told_by_tenant_and_field_wherever_a_rule_is_stated() -> None:
    arms = (Arm(name="a", weight=1.0),)
    before = Rules(version="a", default=Policy(caps=(Cap(scripts=1),), suppressed=frozenset({"u1", "u2"})))
    acme = Policy(
        suppressed=frozenset({"u2", "u3"}), holdout=0.1, experiments=(Experiment(name="x", arms=arms),)
    )
    after = Rules(version="b", default=before.default, tenants={"acme": acme})
    assert [(one.tenant, one.field, one.before, one.after) for one in changes(before, after)] == [
        ("acme", "caps", '[{"scripts":1}]', "[]"),
        ("acme", "suppressed", "2 users", "2 users +u3 -u1"),
        ("acme", "holdout", "0.0", "0.1"),
        ("acme", "experiments.x", "-", '{"name":"x","arms":[{"name":"a","weight":1.0}]}'),
    ]
    assert list(changes(after, after)) == []


def test_a_version_that_is_written_down_is_read_as_the_same() -> None:
    (example,) = load_rules(EXAMPLE)
    quiet = Policy(quiet_hours=QuietHours(begin="21:00", end="08:00"), suppressed=frozenset({"007", "no"}))
    for rules in (example, Rules(version="1e3", since=7, default=quiet)):
        text = msgspec.yaml.encode(stated(rules)).decode()
        assert parse_rules(text, "p.yaml") == (rules,)


def test_the_example_of_the_docs_has_every_kind_of_rule() -> None:
    (example,) = load_rules(EXAMPLE)
    used = {name for policy in example.tenants.values() for name in stated(policy)}
    assert used == set(Policy.__struct_fields__)
