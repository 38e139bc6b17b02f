"""What a person may write into a file of rules, and how they are told what is wrong with it."""

from pathlib import Path

import msgspec
import pytest

from schemas.errors import InputError
from schemas.policy import Cap, Policy, QuietHours, Rules
from streams.rulefile import load_rules, parse_rules

FILE = """\
version: spring
since: 2024-05-01T09:00+08:00
default:
  quiet_hours: {begin: 21:00, end: 08:00}
tenants:
  acme:
    time_zone: Asia/Shanghai
    caps:
      - {scripts: 1, days: 7}
    suppressed: [007, no, 1e3]
"""
NIGHT = QuietHours(begin="21:00", end="08:00")


def test_values_are_what_the_fields_want_whatever_yaml_makes_of_them(tmp_path: Path) -> None:
    path = tmp_path / "policies.yaml"
    path.write_text(FILE)
    (rules,) = load_rules(path)
    acme = Policy(
        time_zone="Asia/Shanghai",
        caps=(Cap(scripts=1, days=7),),
        suppressed=frozenset({"007", "no", "1e3"}),
    )
    assert rules == Rules(
        version="spring", since=1_714_525_200_000, default=Policy(quiet_hours=NIGHT), tenants={"acme": acme}
    )


def test_the_json_of_rules_is_read_as_the_rules_that_it_was_written_from() -> None:
    (rules,) = parse_rules(FILE + "    dry_run: true\n    holdout: 0.25\n    offers_per_day: 3\n", "p.yaml")
    named = msgspec.structs.replace(
        rules, tenants={"acme": Policy(suppressed=frozenset({"李雷", "😀", '"', "\\"}))}
    )
    for one in (rules, named):
        text = msgspec.json.format(msgspec.json.encode(one), indent=2).decode()
        assert parse_rules(text, "p.json") == (one,)


def test_json_may_escape_a_character_as_two_halves_and_be_indented_by_tabs() -> None:
    text = '{\n\t"version": "v1",\n\t"default": {"suppressed": ["\\ud83d\\ude00"]}\n}'
    assert parse_rules(text, "p.json")[0].default.suppressed == {"😀"}


def test_several_versions_are_a_list() -> None:
    found = parse_rules("- version: a\n- version: b\n  since: 2024-05-01\n", "p.yaml")
    assert [(rules.version, rules.since) for rules in found] == [("a", 0), ("b", 1_714_521_600_000)]


def test_a_default_may_be_left_empty_where_none_is_a_value() -> None:
    assert parse_rules("version: v1\ndefault: {quiet_hours: , offers_per_day: }", "p.yaml") == (
        Rules(version="v1"),
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("version: v1\ndefault:\n  caps:\n  - {scripts: 1}\n  - {scripts: 1, days: 0}",
         "line 5: default.caps[1].days is 0, a whole number from 1 to 31 expected"),
        ("version: v1\ntenants:\n  acme:\n    quiet_hour: x",
         "line 4: tenants.acme.quiet_hour is no field; the closest is quiet_hours"),
        ("version: v1\ntenants:\n  acme: {}\n  acme: {}",
         "line 4: tenants.acme is given twice, first in line 3"),
        ('{"version": "v1",\n "since": 1,\n "since": 2}', "line 3: since is given twice, first in line 2"),
        ("version: v1\ntenants:\n  acme:\n    time_zone: Asia/Shangai",
         "line 4: tenants.acme.time_zone is 'Asia/Shangai', which is no zone of the IANA data base; "
         "the closest is Asia/Shanghai"),
        ("version: v1\ndefault:\n  passes:\n    high: [consent]",
         "default: passes lets high pass consent; only frequency_cap, quiet_hours, cooldown can be passed"),
        ("version: v1\ndefault:\n  passes:\n    hgh: []",
         "line 4: the name default.passes.hgh is 'hgh', one of very_low, low, medium, high, critical "
         "expected; the closest is high"),
        ("version: v1\ntenants:\n  a b: {}", "line 3: the name tenants.a b is 'a b', 1 to 64 letters"),
        ("since: 2024-05-01", "line 1: version is missing"),
        ("version: v1\nsince: tomorrow", "line 2: since is 'tomorrow', a time such as 2024-12-31T18:00Z"),
        ("version: v1\ndefault: {dry_run: yes}", "line 2: default.dry_run is yes, true or false expected"),
        ("version: v1\ndefault: {holdout: 5}", "line 2: default.holdout is 5, a number from 0 to 1 expected"),
        ("version: v1\ndefault: {quiet_hours: {begin: 9:00, end: 10:00}}",
         "line 2: default.quiet_hours.begin is 9:00, HH:MM expected"),
        ("version: v1\ndefault:\n  quiet_hours:\n    begin: 09:00\n    end: 09:00",
         "line 4: default.quiet_hours: begin and end are both 09:00"),
        ("version: v1\ndefault: {caps: {scripts: 1}}",
         "line 2: default.caps is a mapping, a list expected"),
        ("version: v1\ndefault:\n  experiments: [{name: x, arms: []}]",
         "line 3: default.experiments[0].arms is an empty list, at least 1 expected"),
        ("version: v1\ndefault:\n  experiments:\n  - name: x\n    arms:\n    - {name: a, weight: 0.5}",
         "line 4: default.experiments[0]: arms: the weights' sum is 0.5, expected 1"),
        ("version: v1\ndefault:\n  experiments: [{name: x, arms: [{name: a, weight: 1}],\n"
         "   by_context: {crit/pro: [1]}}]",
         "line 4: default.experiments[0].by_context.crit/pro is for no tier"),
        ("- {version: a}\n- {version: a, since: 1}", "line 2: [1].version is a, like that of another"),
        ("- {version: a}\n- {version: b}", "line 2: [1].since is 0, like that of another version"),
        ("version: [", "line 1: expected the node content"),
        ("version: v1\ndefault: &a {passes: {high: &b [*b]}}", "default.passes.high[0] is a list"),
        ("v1", "line 1: the version is 'v1', names with values expected"),
        ("", "is empty"),
        ("[]", "is empty"),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_line_its_field_and_the_value_s_problem(text: str, told: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_rules(text, "policies.yaml")
    assert str(caught.value).startswith("policies.yaml")
    assert told in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.yaml"):
        load_rules(tmp_path / "gone.yaml")
