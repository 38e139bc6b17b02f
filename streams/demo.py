"""What the demo has seen so far, and how it looks: tiers, crossings, scripts, and the time they took."""

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from schemas.decision import Decision
from schemas.vocabulary import TIERS, Cause, HeldBy, Outcome, Tier
from streams.consumer import Record
from streams.telemetry import Latency, Publications
from streams.traffic import Population

COLOURS = dict(zip(TIERS, ("green", "cyan", "yellow", "magenta", "red"), strict=True))
SCRIPTS_SHOWN = 3
_LATEST = 6
_decoder = msgspec.json.Decoder(Decision)


class Published(Struct, frozen=True):
    """A decision and how long it took from detection to publication, in ms."""

    decision: Decision
    took_ms: float


class Scene:
    """The demo's state: fed with the records of the topic `decisions`."""

    def __init__(self, budget_ms: int) -> None:
        self._budget_ms = budget_ms
        self.users: dict[str, Tier] = {}
        self.publications = Publications()
        self.by_tier: Counter[Tier] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.within = 0
        self.latest: deque[Published] = deque(maxlen=_LATEST)
        self.scripts: list[Published] = []
        self._ids: set[str] = set()

    def begin(self, population: Population) -> None:
        """Know the users' tiers at the end of the history."""
        self.users = {persona.user_id: persona.tier for persona in population.personas}

    def take(self, record: Record, is_measured: Callable[[float], bool]) -> Published | None:
        """A record of the topic; what it tells, unless it is a copy or about the past."""
        if record.value is None:
            return None
        decision = _decoder.decode(record.value)
        if decision.id in self._ids or decision.held_by is HeldBy.REPLAY:
            return None
        self._ids.add(decision.id)
        self.users[decision.user_id] = decision.to_tier
        self.by_tier[decision.to_tier] += decision.cause is not Cause.RISK
        self.outcomes[decision.held_by or decision.outcome] += 1
        took_ms, measured = record.append_ms - decision.timing.detected_ms, is_measured(decision.at)
        if measured:
            self.publications.record(decision, record.append_ms)
            self.within += took_ms <= self._budget_ms
        found = Published(decision, took_ms)
        self.latest.appendleft(found)
        if decision.outcome is Outcome.SENT and (measured or len(self.scripts) < SCRIPTS_SHOWN):
            self.scripts.append(found)
        return found

    @property
    def crossings(self) -> int:
        """How many there were, those of the risk's threshold included."""
        return len(self._ids)

    def chosen(self) -> list[Published]:
        """Whole scripts to show: of different rungs, languages and tiers, as far as there are any."""
        left, chosen = self.scripts[::-1], list[Published]()
        while left and len(chosen) < SCRIPTS_SHOWN:
            best = max(left, key=lambda one: sum(_distance(one, other) for other in chosen))
            left.remove(best)
            chosen.append(best)
        return chosen

    def report(self, events: int) -> dict[str, Any]:
        """The closing report for machines."""
        return {
            "events": events,
            "crossings": self.crossings,
            "by_tier": dict(self.by_tier),
            "outcomes": dict(self.outcomes),
            "budget_ms": self._budget_ms,
            "within_budget": self.within,
            "total": self.publications.total(),
            "by_rung": self.publications.by_rung(),
            "steps": self.publications.steps(),
            "scripts": self.chosen(),
        }

    def view(self, title: str, events: int) -> RenderableType:
        """The live picture."""
        users = Counter(self.users.values())
        tiers = Table("tier", "users", "crossings into it", box=None, pad_edge=False)
        for tier in TIERS:
            tiers.add_row(f"[{COLOURS[tier]}]{tier}[/]", str(users[tier]), str(self.by_tier[tier]))
        total = self.publications.total()
        tiers.add_section()
        rows = [told(one) for one in self.latest]
        return Group(
            Panel(tiers, title=title, title_align="left", subtitle=f"{events:,} live events"),
            Panel(
                Group(*rows) if rows else "[dim]none yet[/]",
                title="latest decisions",
                title_align="left",
            ),
            f"detection → publication: {self.figures(total)}",
        )

    def figures(self, total: Latency) -> str:
        """The times against the budget, in words."""
        if not total.count:
            return "[dim]no decision yet[/]"
        colour = "green" if total.p99_ms <= self._budget_ms else "red"
        return (
            f"p50 {total.p50_ms:.1f} ms, [{colour}]p99 {total.p99_ms:.1f} ms[/], max {total.max_ms:.1f} ms; "
            f"{self.within} of {total.count} within the budget of {self._budget_ms} ms"
        )


def crossed(decision: Decision) -> str:
    """What was crossed: the bound between two tiers, or the threshold of the risk in a tier."""
    if decision.risk is None:
        return f"{decision.from_tier} → {decision.to_tier}"
    return f"{decision.to_tier}, risk {decision.risk.probability:.2f}"


def told(one: Published) -> str:
    """A decision on one line, in rich's markup."""
    decision = one.decision
    head = (
        f"{escape(decision.user_id)}  [{COLOURS[decision.to_tier]}]{crossed(decision)}[/]  "
        f"{decision.activity:.0f} %  "
    )
    if decision.script is None:
        return f"{head}[dim]{decision.outcome}: {decision.held_by}[/]"
    if decision.held_by is not None:  # a dry run: worded, and not sent
        head += f"[dim]{decision.outcome}: {decision.held_by}[/] "
    return f"{head}[bold]{decision.script.rung}[/] {one.took_ms:.0f} ms  {escape(decision.script.text)}"


def whole(one: Published) -> RenderableType:
    """A script in full, with where it came from."""
    decision, script = one.decision, one.decision.script
    assert script is not None  # what was sent has one
    steps = ", ".join(f"{step} {ms:.1f}" for step, ms in decision.timing.steps.items())
    skipped = "".join(f"\n[dim]{rung}: {escape(why)}[/]" for rung, why in decision.fallbacks.items())
    return Panel(
        f"{escape(script.text)}\n\n[dim]{script.rung} by {escape(script.model)} "
        f"{escape(script.model_version)}, written {script.age_ms:.0f} ms before; "
        f"published {one.took_ms:.1f} ms after detection ({steps} ms)[/]{skipped}",
        title=f"{escape(decision.user_id)}: {crossed(decision)}, "
        f"{decision.activity:.1f} %, {decision.strategy}, {script.locale}",
        title_align="left",
    )


def _distance(one: Published, other: Published) -> int:
    a, b = one.decision, other.decision
    assert a.script is not None and b.script is not None  # the callers keep those that were sent
    return (
        4 * (a.script.rung != b.script.rung)
        + 2 * (a.script.locale != b.script.locale)
        + (a.to_tier != b.to_tier)
    )
