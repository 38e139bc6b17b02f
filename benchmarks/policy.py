"""`python -m benchmarks policy`: versions of the rules that are applied to a running stream, and none mixed.

Live events come at a steady rate and users cross all the time, while one version after the other is applied
with `holdfast policy apply`, as a person would, each with an effect that nobody can overlook. Afterwards
every decision must name the version that held at its time, and that version, applied again to what is
recorded, must give the same ruling.
"""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from msgspec import Struct
from rich.table import Table

from benchmarks.load import Shape
from benchmarks.machine import machine
from benchmarks.sender import Sender
from benchmarks.stack import own_stack
from operators.policy import rule
from schemas.decision import Decision
from schemas.errors import UnavailableError
from schemas.policy import Arm, Cap, Experiment, Policy, QuietHours, RuleBook, Rules, Treatment
from schemas.topics import DECISIONS
from schemas.vocabulary import HeldBy
from streams.commands.output import AsJson, notice, out, print_json
from streams.commands.stack import started_up
from streams.consumer import Record, reading
from streams.drive import Drive, Load
from streams.preview import SENT
from streams.rules import LEAD_MS, read_rules
from streams.settings import Settings, load_settings
from streams.story import crossing_of
from streams.traffic import spread

_HISTORY_S, _HISTORY_S_PER_USER = 60, 0.03
"""What it takes until the stream has read the users' history, on a busy machine."""
_UNDECLINING = 50
_DRAFT_LEAD_MS = 10_000
_USERS = 20_000
_HALVES = (
    Arm(name="nothing", weight=0.5, treatment=Treatment(hold=True)),
    Arm(name="as_ever", weight=0.5),
)
VERSIONS: tuple[tuple[str, Policy, str], ...] = (
    ("looking-on", Policy(dry_run=True), HeldBy.DRY_RUN),
    ("open", Policy(), SENT),
    ("held-out", Policy(holdout=1.0), HeldBy.HOLDOUT),
    ("night", Policy(quiet_hours=QuietHours(begin="00:00", end="23:59")), HeldBy.QUIET_HOURS),
    ("capped", Policy(caps=(Cap(scripts=0),)), HeldBy.FREQUENCY_CAP),
    ("halves", Policy(experiments=(Experiment(name="halves", arms=_HALVES),)), HeldBy.EXPERIMENT),
)
"""What is applied, in this order, and what must come of some crossings then."""
_decoder = msgspec.json.Decoder(Decision)


class Held(Struct, kw_only=True):
    """The decisions by one version; `nearest_ms` is how close to its `since` (event time) one of them is."""

    version: str
    since: int
    expected: str
    decisions: int = 0
    outcomes: Counter[str] = msgspec.field(default_factory=Counter)
    nearest_ms: int | None = None

    @property
    def shows(self) -> bool:
        """Whether it did what it is there for."""
        return self.outcomes[self.expected] > 0


class Report(Struct, kw_only=True):
    """All versions in their order, the first being that there is none, and every decision that is wrong."""

    events: int
    decisions: int
    planned: int
    versions: list[Held]
    other_version: list[str]
    """Ids of decisions whose version is not the one that held at their time."""
    other_ruling: list[str]
    """Of those that the recorded version, applied again to what is recorded, decides in another way."""
    other_copy: list[str]
    """Of those that were published twice, with different rulings."""
    missing: int
    """Planned crossings without any decision."""
    parameters: dict[str, Any]
    machine: dict[str, Any]

    @property
    def right(self) -> bool:
        """Whether nothing is wrong, and each version was seen to hold."""
        wrong = self.other_version or self.other_ruling or self.other_copy or self.missing
        return not wrong and all(held.shows for held in self.versions[1:])


def policy(
    rate: Annotated[float, typer.Option("--rate", min=1, help="Live events a second.")] = 2000.0,
    crossings: Annotated[float, typer.Option("--crossings", min=0.1, help="A second.")] = 5.0,
    every_s: Annotated[
        float, typer.Option("--every-s", min=8, help="How long after one version the next is applied.")
    ] = 12.0,
    as_json: AsJson = False,
) -> None:
    """Apply versions of the rules under load, and check that every decision was made under exactly one.

    Exit status 1 where one was not. Starts a stack of its own in a temporary folder, and removes it.

    Example: python -m benchmarks policy --json | jq .versions
    """
    settings = msgspec.structs.replace(load_settings(), draft_lead_ms=_DRAFT_LEAD_MS)
    with own_stack(settings) as stack:
        started_up(stack)
        report = _Run(stack.settings, rate, crossings, every_s).report()
    if as_json:
        print_json(msgspec.to_builtins(report) | {"right": report.right})
    else:
        _print(report)
    if not report.right:
        raise typer.Exit(1)


class _Run:
    """The load, and the person who applies versions meanwhile."""

    def __init__(self, settings: Settings, rate: float, crossings: float, every_s: float) -> None:
        seconds = every_s * (len(VERSIONS) + 1) + LEAD_MS / 1000
        declines_s = spread(round(crossings * seconds), 1.0, seconds)
        users = len(declines_s) + _UNDECLINING
        load = Load(
            users=users,
            declines_s=tuple(declines_s),
            seconds=seconds,
            lead_s=round(_HISTORY_S + users * _HISTORY_S_PER_USER),
            thin=True,
        )
        self._settings, self._every_s = settings, every_s
        shape = Shape(users=_USERS, rate_per_s=rate, seconds=seconds)
        self._sender = Sender(settings.bootstrap_servers, shape)
        self._drive = Drive(settings, load, self._sender)
        self._parameters = {"rate": rate, "crossings": crossings, "every_s": every_s}
        self._applying: threading.Thread | None = None
        self._failure: UnavailableError | None = None
        self._told = ""

    def report(self) -> Report:
        """Do it, and say what came out.

        Raises:
            HoldfastError: the stack does not take the events, or a version cannot be applied.
        """
        self._drive.run(self._on_stage, self._on_record)
        if self._applying is not None:
            self._applying.join()
        if self._failure is not None:
            raise self._failure
        assert self._drive.population is not None  # the run has ended
        plans = self._drive.population.plans
        planned = {plan.user_id for plan in plans if self._drive.is_measured(plan.at)}
        book = read_rules(self._settings.bootstrap_servers)
        report = checked(_live(self._settings), book, planned)
        report.events, report.parameters = self._sender.sent, self._parameters
        return report

    def _on_stage(self, what: str, done: int, total: int | None) -> None:
        if what != self._told:
            self._told = what
            notice(what)

    def _on_record(self, record: Record | None) -> None:
        if self._applying is None:
            self._applying = threading.Thread(target=self._apply_all, daemon=True)
            self._applying.start()

    def _apply_all(self) -> None:
        try:
            for number, (version, rules, _) in enumerate(VERSIONS, 1):
                due_s = self._drive.live_from_ms / 1000 + number * self._every_s - LEAD_MS / 1000
                time.sleep(max(0.0, due_s - time.time()))  # versions are applied by the clock
                notice(f"applying {version}")
                self._apply(Rules(version=version, default=rules))
        except UnavailableError as error:
            self._failure = error

    def _apply(self, rules: Rules) -> None:
        """With the command, as a person would."""
        file = Path(self._settings.work_dir) / f"{rules.version}.json"
        file.write_bytes(msgspec.json.encode(rules))
        done = subprocess.run(
            (sys.executable, "-m", "streams.cli", "policy", "apply", str(file)),
            env={**os.environ, **self._settings.variables()},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise UnavailableError(f"policy apply {rules.version}: {done.stderr.strip()}")


def _live(settings: Settings) -> Iterator[Decision]:
    """All decisions but those of the history."""
    with reading(settings.bootstrap_servers, DECISIONS) as reader:
        for record in reader.present():
            decision = _decoder.decode(record.value or b"")
            if decision.held_by is not HeldBy.REPLAY:
                yield decision


def checked(decisions: Iterator[Decision], book: RuleBook, planned: set[str]) -> Report:
    """Every decision against the rules in `book`; `planned` are the users who were to cross."""
    expected = {version: outcome for version, _, outcome in VERSIONS}
    held = {"": Held(version="", since=0, expected=SENT)} | {
        rules.version: Held(
            version=rules.version, since=rules.since, expected=expected.get(rules.version, "")
        )
        for rules in book.versions
    }
    seen: dict[str, Decision] = {}
    report = Report(
        events=0,
        decisions=0,
        planned=len(planned),
        versions=list(held.values()),
        other_version=[],
        other_ruling=[],
        other_copy=[],
        missing=0,
        parameters={},
        machine=machine(),
    )
    for decision in decisions:
        copy, ruling = seen.setdefault(decision.id, decision), decision.ruling
        if copy is not decision:
            if copy.ruling != ruling:
                report.other_copy.append(decision.id)
            continue
        report.decisions += 1
        if ruling is None:
            report.other_ruling.append(decision.id)
            continue
        rules = book.at(ruling.standing.at)
        if rules.version != ruling.version:
            report.other_version.append(decision.id)
        if rule(rules, crossing_of(decision), ruling.standing) != ruling:
            report.other_ruling.append(decision.id)
        one = held.setdefault(ruling.version, Held(version=ruling.version, since=0, expected=""))
        one.decisions += 1
        one.outcomes[decision.held_by or SENT] += 1
        distance_ms = abs(ruling.standing.at - one.since)
        one.nearest_ms = distance_ms if one.nearest_ms is None else min(one.nearest_ms, distance_ms)
    report.versions = list(held.values())
    report.missing = len(planned - {decision.user_id for decision in seen.values()})
    return report


def _print(report: Report) -> None:
    table = Table("version", "decisions", "outcomes", "first after its since, s", box=None, pad_edge=False)
    for one in report.versions:
        outcomes = ", ".join(f"{what} {number}" for what, number in sorted(one.outcomes.items()))
        nearest = "" if one.nearest_ms is None or not one.since else f"{one.nearest_ms / 1000:.3f}"
        table.add_row(one.version or "none", f"{one.decisions:,}", outcomes, nearest)
    out.print(table)
    out.print(
        f"{report.events:,} events, {report.decisions:,} decisions of {report.planned:,} planned crossings: "
        f"{len(report.other_version)} under another version than held at their time, "
        f"{len(report.other_ruling)} that its rules do not give again, "
        f"{len(report.other_copy)} published twice with different rulings, {report.missing} missing"
    )
    for ids in (report.other_version, report.other_ruling, report.other_copy):
        for decision_id in ids[:10]:
            out.print(f"wrong: {decision_id}")
    hidden = [one.version for one in report.versions[1:] if not one.shows]
    if hidden:
        out.print(f"without the effect that they are for: {', '.join(hidden)}")
    out.print("[bold green]all right[/]" if report.right else "[bold red]not right[/]")
