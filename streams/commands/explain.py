"""`holdfast explain`: one decision's whole story, and whether its recorded inputs give it again."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from inference import nano, risk, sentiment
from inference.client import sampling
from inference.tritonserver import MODEL, MODEL_REPOSITORY
from operators.signals import NAMES
from schemas.decision import Decision, Ruling, Script
from schemas.errors import UnavailableError
from schemas.events import Account, Event, Support, Usage
from schemas.vocabulary import Locale
from streams.checks import Check, Verdict
from streams.commands.output import AsJson, day, notice, out, print_json
from streams.demo import crossed
from streams.gathering import Source, gather
from streams.rules import read_rules
from streams.settings import load_settings
from streams.story import Story, answers, rerun
from streams.tenants import load_tenants

_COLOURS = {Verdict.SAME: "green", Verdict.DIFFERS: "bold red", Verdict.UNCHECKED: "yellow"}
_SHOWN_CHARS = 100


def explain(
    id: Annotated[str, typer.Argument(metavar="ID", help="The decision's id, as its record has it.")],
    user: Annotated[
        str | None,
        typer.Option(
            "--user", metavar="TENANT/USER", help="Whose decision it is: one partition is read then."
        ),
    ] = None,
    events: Annotated[
        Source,
        typer.Option(
            "--events", help="Where to read the user's 30 days: Redis is fast, the topics go further back."
        ),
    ] = "redis",
    as_json: AsJson = False,
) -> None:
    """Tell a decision from the user's events to what came of it, and make it again from its recorded inputs.

    Each step that can be done again is: same, or differs, or not checked and why. The exit status is 1 if one
    differs, or if there is no such decision.

    Example: holdfast explain 62b219671b6f869acca2ffbd0f71ce86
    Example: holdfast explain 62b219671b6f869acca2ffbd0f71ce86/again --user acme/u1 --events topics --json
    """
    settings = load_settings()
    now_ms = int(time.time() * 1000)
    try:
        story = gather(settings, id, user, events, now_ms)
    except UnavailableError as error:
        if events != "redis" or "Redis" not in str(error):
            raise
        notice(f"{error}; the user's events are left out (or read them with --events topics)")
        story = gather(settings, id, user, "none", now_ms)
    book, tenants = read_rules(settings.bootstrap_servers), load_tenants(settings.tenants_file)
    checks = rerun(story, book, tenants, Repositories(settings.model_repository))
    if as_json:
        print_json({"story": story, "checks": checks})
    else:
        for line in told(story):
            out.print(line, soft_wrap=True)
        _print(checks)
    if any(check.verdict is Verdict.DIFFERS for check in checks):
        raise typer.Exit(1)


class Repositories:
    """The versions in the repository that serves, else in ours; `streams.remaking.Models`."""

    def __init__(self, serving: Path) -> None:
        self._serving = serving

    def risk(self, version: str) -> risk.Risk:
        """The churn model."""
        return risk.load(self._folder(risk.MODEL, version), NAMES)

    def sentiment(self, version: str) -> sentiment.Sentiment:
        """The model of sentiment."""
        return sentiment.Sentiment.load(self._folder(sentiment.MODEL, version))

    def text(self, script: Script, asked: str) -> str:
        """What the small model writes, in this process: the one that serves is left in peace."""
        who = f"{script.model} {script.model_version}"
        if script.model != nano.NAME or script.told is None or script.told.seed is None:
            raise UnavailableError(f"{who} runs elsewhere: what a GPU writes depends on what else it does")
        model = nano.Nano(self._folder(MODEL, script.model_version, "model.onnx"))
        drawn = nano.Sampling.of(sampling(script.told.seed))
        return "".join(model.generate(asked, drawn, lambda: False)).strip()

    def _folder(self, model: str, version: str, file: str = "") -> Path:
        """The folder of the version that has the `file`."""
        for repository in (self._serving, MODEL_REPOSITORY):
            if (repository / model / version / file).exists():
                return repository / model / version
        raise UnavailableError(f"version {version} of the model {model} is no longer in {self._serving}")


def told(story: Story) -> Iterator[str]:
    """The story in rich's markup, in the order in which it happened."""
    decision = story.decision
    yield f"[bold]{escape(decision.id)}[/]  {escape(f'{decision.tenant}/{decision.user_id}')}"
    yield from _events(story)
    yield (
        f"[bold]crossing[/]  {day(decision.at)}  {decision.cause}  {crossed(decision)}: "
        f"{decision.recent} active hours in 7 days, {decision.prior} in the 23 before, usually "
        f"{decision.usual:.1f} a week: "
        f"activity {decision.activity:.1f} %"
    )
    yield from _risk(story)
    yield from _ahead(story)
    if decision.ruling is not None:
        yield from _ruling(decision.ruling)
    yield from _script(story)
    yield from _after(story)


def _events(story: Story) -> Iterator[str]:
    if story.seen is None:
        yield "[bold]events[/]  not read"
        return
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(story.seen.kinds.items())) or "none"
    yield (
        f"[bold]events[/]  of the 30 days before, from {story.seen.source}: {kinds}; "
        f"active hours {story.seen.recent} and {story.seen.prior}"
    )
    for event in story.seen.telling:
        yield f"  {day(event.ts)}  {escape(_event(event))}"


def _event(event: Event) -> str:
    match event:
        case Support():
            return f"support: {event.text[:_SHOWN_CHARS]}"
        case Account():
            return f"account: plan {event.plan}, consent {event.consent}, {event.locale}, {event.time_zone}"
        case Usage():
            return f"{event.feature}: {event.outcome}"
        case _:
            return event.event_id


def _risk(story: Story) -> Iterator[str]:
    assessed = story.decision.risk
    if assessed is None:
        return
    yield (
        f"[bold]risk[/]  {_when(story.appended.risk_ms)}  at {assessed.trigger}: {assessed.probability:.3f} "
        f"by {escape(assessed.model)} {escape(assessed.model_version)}"
    )
    for words in assessed.words.get(Locale.EN, ()):
        yield f"  {escape(words)}"
    for effect in assessed.reasons:
        value = "unknown" if effect.value is None else f"{effect.value:g}"
        yield f"  {effect.signal} = {value}: {effect.effect:+.2f} log-odds"
    if story.risk is not None:
        known = sum(value is not None for value in story.risk.signals.values())
        yield f"  from {known} of {len(story.risk.signals)} signals; --json has them"


def _ahead(story: Story) -> Iterator[str]:
    if story.request is not None:
        at = day(story.request.asked_at)
        yield f"[bold]asked[/]  {_when(story.appended.request_ms)}  for a script ahead, at {at} of event time"
    if story.draft is not None:
        draft = story.draft
        yield (
            f"[bold]draft[/]  {_when(story.appended.draft_ms)}  by {escape(draft.model)} "
            f"{escape(draft.model_version)}: {escape(draft.text)}"
        )
    if story.crossing is not None:
        why = escape(story.crossing.no_draft) or "none is ready"
        yield f"[bold]to compose[/]  {_when(story.appended.crossing_ms)}  without a draft: {why}"


def _ruling(ruling: Ruling) -> Iterator[str]:
    yield f"[bold]rules[/]  version {escape(ruling.version) or 'none'}, as of {day(ruling.standing.at)}"
    yield "  " + ", ".join(f"{rule}: {said}" for rule, said in answers(ruling))
    if ruling.allowed_at is not None:
        then = "; it is decided again then" if ruling.is_put_off else ""
        yield f"  allowed at {day(ruling.allowed_at)}{then}"
    for arm in ruling.assigned:
        yield f"  experiment {escape(arm.experiment)}: arm {escape(arm.arm)}, propensity {arm.propensity:g}"


def _script(story: Story) -> Iterator[str]:
    decision = story.decision
    for rung, why in decision.fallbacks.items():
        yield f"  [dim]not {rung}: {escape(why)}[/]"
    if decision.script is None:
        return
    script = decision.script
    yield (
        f"[bold]script[/]  {script.rung} by {escape(script.model)} {escape(script.model_version)}, "
        f"{script.age_ms:.0f} ms old, for {decision.reason}, {decision.strategy}"
    )
    yield f"  {escape(script.text)}"
    if script.told is not None and script.told.examples is not None:
        yield f"  shown of the examples, version {escape(script.told.examples.version)}:"
        for one in story.examples or ():
            yield f"  - {escape(one.template)}"


def _after(story: Story) -> Iterator[str]:
    decision, appended = story.decision, story.appended
    steps = ", ".join(f"{step} {ms:.1f}" for step, ms in decision.timing.steps.items())
    took_ms = appended.decision_ms - decision.timing.detected_ms
    what = decision.outcome if decision.held_by is None else f"held by {decision.held_by}"
    copies = f", {story.copies} copies" if story.copies > 1 else ""
    yield (
        f"[bold]decision[/]  {_when(appended.decision_ms)}  {what}{copies}: "
        f"{took_ms:.1f} ms after detection ({steps} ms)"
    )
    if appended.intervention_ms is not None:
        yield f"[bold]intervention[/]  {_when(appended.intervention_ms)}"
    for other in story.others:
        yield f"[bold]same crossing[/]  {escape(other.id)}: {_short(other)}"
    for outcome in story.outcomes:
        made = ", simulated" if outcome.simulated else ""
        yield f"[bold]outcome[/]  {day(outcome.ts)}  {outcome.kind} {outcome.value:g}{made}"


def _short(decision: Decision) -> str:
    return decision.outcome if decision.held_by is None else f"held by {decision.held_by}"


def _when(ms: int | None) -> str:
    return "time unknown" if ms is None else f"{day(ms)}.{ms % 1000:03}"


def _print(checks: list[Check]) -> None:
    table = Table("done again", "", "", box=None, pad_edge=False)
    for check in checks:
        table.add_row(check.what, f"[{_COLOURS[check.verdict]}]{check.verdict}[/]", escape(check.why))
    out.print()
    out.print(table)
