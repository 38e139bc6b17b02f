"""Versions of the rules on a real broker: applied by a person, followed by who decides, through a restart."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kafka import KafkaProducer
from typer.testing import CliRunner

from schemas.topics import RULES
from streams.commands import policy
from streams.embedded import Stack
from streams.rules import Following
from streams.settings import Settings
from streams.topics import ensure_topics

pytestmark = pytest.mark.real
# Not the defaults: a stack that somebody runs on this machine is left alone.
PORTS = {"broker_port": 19492, "controller_port": 19493}


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    stack = Stack(Settings(work_dir=tmp_path / "work", **PORTS))  # type: ignore[arg-type]  # each is an int
    stack.up(only=("broker",))
    ensure_topics(stack.settings.bootstrap_servers)
    for name, value in stack.settings.variables().items():
        monkeypatch.setenv(name, value)
    yield stack
    stack.down(wipe=True)


def run(*arguments: object) -> dict[str, list[dict[str, object]]]:
    done = CliRunner().invoke(policy.app, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found: dict[str, list[dict[str, object]]] = json.loads(done.stdout)
    return found


def wait_until(holds: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end_s, "it never comes true"
        time.sleep(0.1)


def test_versions_are_applied_listed_and_followed_past_a_bad_record_and_a_restart(
    stack: Stack, tmp_path: Path
) -> None:
    def apply(version: str) -> None:
        file = tmp_path / f"{version}.yaml"
        file.write_text(f"version: {version}\ndefault: {{dry_run: true}}\n")
        run("apply", file)
        time.sleep(0.01)  # the next one holds from another millisecond

    servers = stack.settings.bootstrap_servers
    followed = Following(servers)
    try:
        assert followed.book.versions == ()
        apply("first")
        wait_until(lambda: [rules.version for rules in followed.book.versions] == ["first"])
        producer = KafkaProducer(bootstrap_servers=servers)
        producer.send(RULES.name, b"not a version", b"bad").get(timeout=10)
        producer.close()
        apply("second")
        wait_until(lambda: len(followed.book.versions) == 2)
        stack.down(only=("broker",))
        stack.up(only=("broker",))
        assert [rules.version for rules in followed.book.versions] == ["first", "second"]
        apply("third")
        wait_until(lambda: [rules.version for rules in followed.book.versions][-1] == "third")
    finally:
        followed.close()
    assert [row["version"] for row in run("list")["versions"]] == ["first", "second", "third"]
    file = tmp_path / "third.yaml"
    assert run("preview", file)["crossings"] == 0
