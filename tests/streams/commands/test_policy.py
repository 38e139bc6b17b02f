"""`holdfast policy` against a topic in memory: what a person sees and a machine reads."""

import json
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from schemas.decision import Decision, Ruling, Standing, decision_id
from schemas.errors import InputError
from schemas.policy import Policy, RuleBook, Rules
from schemas.vocabulary import Cause, HeldBy, Tier
from streams.commands import policy
from streams.commands.decisions import line
from streams.demo import Published, told
from streams.rulefile import load_rules
from tests.records import decision, script

AT_MS = 1_700_000_000_000


def decided(user_id: str, held_by: HeldBy | None = None) -> Decision:
    return decision(
        id=decision_id("acme", user_id, Cause.DECLINE, AT_MS),
        user_id=user_id,
        at=AT_MS,
        held_by=held_by,
        script=script(text="Hello."),
        ruling=Ruling(version="", standing=Standing(at=AT_MS, tier=Tier.HIGH), held_by=held_by),
    )


class Topic:
    """The versions that were published, and the decisions that were made."""

    def __init__(self) -> None:
        self.book = RuleBook()
        self.decisions = [decided("u1"), decided("u2")]

    def publish(self, _: str, rules: Iterable[Rules]) -> None:
        self.book = RuleBook((*self.book.versions, *rules))


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Topic:
    topic = Topic()
    monkeypatch.setenv("HOLDFAST_WORK_DIR", str(tmp_path))
    monkeypatch.setattr(policy, "read_rules", lambda _: topic.book)
    monkeypatch.setattr(policy, "publish_rules", topic.publish)
    monkeypatch.setattr(policy, "_decisions", lambda _: iter(topic.decisions))
    return topic


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policies.yaml"
    path.write_text("version: quiet\ntenants:\n  acme: {suppressed: [u1]}\n")
    return path


def run(*arguments: object) -> Result:
    done = CliRunner().invoke(policy.app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def test_applying_publishes_a_version_ahead_of_now_and_tells_what_changes(topic: Topic, file: Path) -> None:
    (applied,) = json.loads(run("apply", file, "--json").stdout)["applied"]
    assert [rules.version for rules in topic.book.versions] == ["quiet"]
    assert applied["since"] == topic.book.versions[0].since > AT_MS
    change = {"tenant": "acme", "field": "suppressed", "before": "0 users", "after": "1 users +u1"}
    assert applied["changes"] == [change]
    assert json.loads(run("apply", file, "--json").stdout)["applied"] == []


def test_a_time_before_decisions_that_are_published_is_refused(topic: Topic, file: Path) -> None:
    with pytest.raises(InputError, match="would not replay"):
        run("apply", file, "--at", AT_MS)
    assert topic.book.versions == ()
    topic.decisions = []
    run("apply", file, "--at", AT_MS)
    assert topic.book.versions[0].since == AT_MS


def test_the_list_says_which_version_holds(topic: Topic) -> None:
    topic.publish(
        "", [Rules(version="a", since=1), Rules(version="b", since=2), Rules(version="c", since=9**14)]
    )
    rows = json.loads(run("list", "--json").stdout)["versions"]
    assert [(row["version"], row["state"]) for row in rows] == [
        ("a", "before"),
        ("b", "holds"),
        ("c", "to come"),
    ]


def test_an_older_version_is_applied_again_under_another_name(topic: Topic, tmp_path: Path) -> None:
    old = Rules(version="old", since=1, default=Policy(holdout=0.5))
    topic.publish("", [old, Rules(version="new", since=2)])
    back = tmp_path / "back.yaml"
    back.write_text(run("show", "old", "--as", "old-again").stdout)
    assert load_rules(back) == (msgspec.structs.replace(old, version="old-again", since=0),)
    run("apply", back)
    assert topic.book.versions[-1].default == old.default


def test_a_preview_publishes_nothing_and_names_what_changes(topic: Topic, file: Path) -> None:
    found = json.loads(run("preview", file, "--json").stdout)
    assert (found["crossings"], found["changed"]) == (2, 1)
    assert found["examples"][0]["user_id"] == "u1"
    assert found["examples"][0]["after"]["outcome"] == "suppression"
    assert topic.book.versions == ()


@pytest.mark.usefixtures("topic")
def test_an_offer_that_the_tenant_does_not_have_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenants, rules = tmp_path / "tenants.yaml", tmp_path / "rules.yaml"
    tenants.write_text("acme: {product: Acme}\n")
    rules.write_text(
        "version: v1\ntenants:\n  acme:\n    experiments:\n"
        "    - {name: x, arms: [{name: a, weight: 1, treatment: {offer: gift}}]}"
    )
    monkeypatch.setenv("HOLDFAST_TENANTS_FILE", str(tenants))
    with pytest.raises(InputError, match="the offer gift"):
        run("check", rules)


def test_a_dry_run_is_shown_as_held_with_the_script_that_was_not_sent() -> None:
    looked_on = decided("u1", HeldBy.DRY_RUN)
    for shown in (line(looked_on), told(Published(looked_on, 1.0))):
        assert "dry_run" in shown and "held" in shown and "Hello." in shown
    assert "held" not in line(decided("u1"))
