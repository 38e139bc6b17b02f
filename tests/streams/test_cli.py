"""`holdfast` from the outside: what it prints, on which stream, and its exit status."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from schemas.codec import encode
from schemas.events import Login
from streams.batch import PANE_MS
from streams.cli import main


class Done(NamedTuple):
    """How a command ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


Run = Callable[..., Done]
UNTIL = str(60 * 24 * PANE_MS)
COMMANDS = (
    "up",
    "down",
    "status",
    "savepoint",
    "send",
    "decisions",
    "explain",
    "recompute",
    "verify",
    "demo",
    "train nano",
    "models list",
    "models promote",
    "models rollback",
    "models canary",
    "policy check",
    "policy apply",
    "policy list",
    "policy show",
    "policy preview",
    "train sentiment",
    "evaluate sentiment",
    "experiments list",
    "experiments report",
)


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """A user's habit of 40 days, and a line that is no event."""
    path = tmp_path / "events.jsonl"
    hours = (hour for hour in range(40 * 24) if hour % 24 < 3)
    lines = [
        encode(Login(event_id=f"e{hour}", tenant="acme", user_id="u1", ts=hour * PANE_MS)) for hour in hours
    ]
    path.write_bytes(b"\n".join([*lines, b"no json", b""]))
    return path


@pytest.fixture
def holdfast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command with a work directory of its own, and no server anywhere."""
    monkeypatch.setenv("HOLDFAST_WORK_DIR", str(tmp_path / "work"))
    monkeypatch.setenv("HOLDFAST_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str | Path) -> Done:
        monkeypatch.setattr(sys, "argv", ["holdfast", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Done(int(ended.value.code or 0), printed.out, printed.err)

    return run


def test_help_lists_every_command(holdfast: Run) -> None:
    done = holdfast("--help")
    assert done.returncode == 0
    assert all(command.split()[0] in done.stdout for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_with_an_example(holdfast: Run, command: str) -> None:
    done = holdfast(*command.split(), "--help")
    assert done.returncode == 0
    assert "Example: holdfast" in done.stdout and "--json" in done.stdout


def test_recompute_sums_up_for_people(holdfast: Run, events: Path) -> None:
    done = holdfast("recompute", events, "--until", UNTIL)
    assert done.returncode == 0, done.stderr
    assert "120 events accepted" in done.stdout and "critical" in done.stdout
    assert "record 121 rejected: record is not JSON in UTF-8" in done.stdout


def test_recompute_gives_machines_one_decision_a_line(holdfast: Run, events: Path) -> None:
    done = holdfast("recompute", events, "--until", "1970-03-02", "--json")
    decisions = [json.loads(line) for line in done.stdout.splitlines()]
    assert [decision["to_tier"] for decision in decisions][-4:] == ["low", "medium", "high", "critical"]
    assert all(decision["held_by"] == "replay" for decision in decisions)


@pytest.mark.parametrize(
    "arguments",
    [
        ("recompute", "missing.jsonl", "--until", UNTIL),
        ("verify", "missing.jsonl", "--until", UNTIL),
        ("send", "missing.jsonl", "--history"),
        ("up", "--only", "zookeeper"),
    ],
)
def test_what_a_person_can_mend_is_one_line_on_stderr(holdfast: Run, arguments: tuple[str, ...]) -> None:
    done = holdfast(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("holdfast: ") and (arguments[1] in line or arguments[-1] in line)


@pytest.mark.parametrize("command", ["send", "verify --until 5", "decisions"])
def test_a_broker_that_is_not_there_is_one_line_on_stderr(holdfast: Run, events: Path, command: str) -> None:
    name, *options = command.split()
    done = holdfast(name, *([] if name == "decisions" else [events]), *options)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip().splitlines()[-1].startswith("holdfast: Kafka at 127.0.0.1:1 does not answer")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--until", "yesterday"), "is no time"),
        (("--until", "-5"), "is no time"),
        (("--until", "99999-01-01"), "is no time"),
        (("--until", UNTIL, "--speed", "fast"), "no speed"),
        (("--until", UNTIL, "--speed", "x0"), "no speed"),
        (("--until", UNTIL), "belong to --history"),
        (("--history", "--duplicates", "1.5"), "--duplicates"),
    ],
)
def test_wrong_usage_says_what_is_wrong(
    holdfast: Run, events: Path, arguments: tuple[str, ...], problem: str
) -> None:
    done = holdfast("send", events, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert problem in done.stderr


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model that is scored in process, in three versions: the second is better, the third is worse."""
    for version, auc in (("1", 0.9), ("2", 0.92), ("3", 0.88)):
        folder = tmp_path / "models" / "risk" / version
        folder.mkdir(parents=True)
        (folder / "MODEL_CARD.md").write_text("# A model")
        metrics = {"promotion": {"auc": auc}, "data": {"fingerprint": "sha256:12"}, "trained": "2026-01-31"}
        (folder / "metrics.json").write_text(json.dumps(metrics))
    monkeypatch.setenv("HOLDFAST_MODEL_REPOSITORY", str(tmp_path / "models"))
    return tmp_path / "models"


def listed(holdfast: Run) -> list[tuple[str, str, float]]:
    rows = json.loads(holdfast("models", "list", "--json").stdout)["versions"]
    return [(row["version"], row["state"], row["share"]) for row in rows]


def test_a_version_is_tried_promoted_and_taken_back(holdfast: Run, repository: Path) -> None:
    assert holdfast("models", "canary", "risk", "2", "--share", "0.1").returncode == 0
    assert listed(holdfast) == [("1", "promoted", 0.9), ("2", "canary", 0.1), ("3", "candidate", 0.0)]
    done = holdfast("models", "promote", "risk", "2", "--json")
    assert json.loads(done.stdout) == {
        "model": "risk",
        "promoted": "2",
        "canary": None,
        "before": ["1"],
        "forced": [],
    }
    assert listed(holdfast) == [("1", "before", 0.0), ("2", "promoted", 1.0), ("3", "candidate", 0.0)]
    done = holdfast("models", "rollback", "risk")
    assert (done.returncode, done.stdout) == (0, "all users of risk get version 1\n")


def test_the_list_says_of_each_version_what_it_is_and_lacks(holdfast: Run, repository: Path) -> None:
    (repository / "risk" / "3" / "MODEL_CARD.md").unlink()
    table = holdfast("models", "list").stdout
    assert "auc 0.92" in table and "2026-01-31" in table and "risk/2/MODEL_CARD.md" in table
    assert "incomplete, lacks MODEL_CARD.md" in table


def test_a_version_with_a_fallen_figure_is_refused_unless_forced(holdfast: Run, repository: Path) -> None:
    done = holdfast("models", "promote", "risk", "3")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip() == (
        "holdfast: version 3 of risk is not promoted: auc was 0.9 in version 1 and is 0.88"
    )
    assert holdfast("models", "promote", "risk", "3", "--force").returncode == 0
    assert "promoted, forced" in holdfast("models", "list", "risk").stdout


@pytest.mark.parametrize("arguments", [(), ("2", "--off")])
def test_a_canary_is_a_version_to_try_or_ended(
    holdfast: Run, repository: Path, arguments: tuple[str, ...]
) -> None:
    done = holdfast("models", "canary", "risk", *arguments)
    assert done.returncode == 2 and "give the version to try, or --off" in done.stderr


def test_status_without_a_stack_tells_of_each_component(holdfast: Run) -> None:
    done = holdfast("status", "--json")
    status = json.loads(done.stdout)
    assert done.returncode == 1 and not status["healthy"]
    assert {part["name"] for part in status["components"]} >= {"broker", "redis", "triton", "flink"}
    assert "broker" in holdfast("status").stdout


def test_a_savepoint_needs_a_job_that_runs(holdfast: Run) -> None:
    done = holdfast("savepoint")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip() == "holdfast: the main job does not run: bring it up first (holdfast up)"


def test_down_without_a_stack_has_nothing_to_do(holdfast: Run) -> None:
    done = holdfast("down", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"stopped": [], "wiped": False})
