"""The loop: a day's events, the decisions that they lead to, what customers make of them, the next day."""

from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import numpy as np
from msgspec import Struct, field

from benchmarks.simulation.arms import ARMS, LEARNS, ORDER, arm_of, rules
from benchmarks.simulation.customers import Customers, Day, Flags, Floats, Mood, pass_day
from benchmarks.simulation.engines import Engine
from benchmarks.simulation.parameters import TENANT, Assumed, World
from benchmarks.simulation.response import outcome, respond
from benchmarks.simulation.rhythm import DAY_MS, account_of, events_of
from operators.window import pane_of, phase_ms
from schemas.decision import Decision
from schemas.events import Account, Event, Login, Replay, Usage
from schemas.outcome import OutcomeKind, UserOutcome
from schemas.policy import RuleBook
from schemas.vocabulary import HeldBy, Outcome, Rung
from streams.learning import Proposal, propose, revised

WARM_UP_DAYS = 30
BEGIN_MS = round(datetime(2024, 1, 1, tzinfo=UTC).timestamp() * 1000)
_WEEK = 7
NEVER = np.iinfo(np.int64).max
"""When those left (epoch ms) who did not."""
_CHURN_DAYS = 90
"""How long after a decision a customer's leaving is told of it."""


class Plan(Struct, frozen=True, kw_only=True):
    """What is simulated: how many customers, for how many days, in which world, who share which arms."""

    users: int
    days: int = 90
    seed: int = 1
    world: World = World.ASSUMED
    learns: bool = True
    arms: tuple[str, ...] = ARMS
    assumed: Assumed = Assumed()


class Ledger(Struct, kw_only=True):
    """What was seen of each customer over the days, by index; `left_alone` is their double without messages.

    `churned` are those who had left when the days were over.
    """

    arm: list[str]
    churned: Flags
    left_alone: Flags
    active_hours: Floats
    revenue: Floats
    cost: Floats
    complaints: Floats
    messages: Floats
    decisions: list[Decision] = field(default_factory=list)
    outcomes: list[UserOutcome] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)
    """What the product would have published, week by week, or why not."""
    fits: dict[str, tuple[float, int]] = field(default_factory=dict)
    """How well each message fitted, and what the customer needed, by its decision's id."""
    events: int = 0
    here: list[list[float]] = field(default_factory=list)
    """Share of each arm's customers who had not left, by day."""


class Loop:
    """One run of `plan` on `engine`."""

    def __init__(self, plan: Plan, engine: Engine) -> None:
        self.plan, self._engine = plan, engine
        self.customers = Customers(plan.users, plan.seed, plan.assumed)
        self._number = {name: number for number, name in enumerate(self.customers.ids)}
        self.mood, self.double = Mood(self.customers), Mood(self.customers)
        self.live_ms = BEGIN_MS + WARM_UP_DAYS * DAY_MS
        self.left_on = np.full(plan.users, NEVER)
        self.double_left_on = np.full(plan.users, NEVER)
        self._last: dict[int, Decision] = {}
        self._accounts: list[Account] = []
        self._pane: dict[int, int] = {}
        self._phases = [phase_ms(f"{TENANT}/{name}") for name in self.customers.ids]
        self.hours_before = np.zeros(plan.users)
        """Active hours in the warm-up, which are known before anything is sent."""
        self._learns = plan.learns and LEARNS in plan.arms
        self.rules = rules("day-0", 0, plan.arms)
        self.versions = [self.rules]
        engine.publish(self.rules)
        policy = self.rules.of(TENANT)
        zeros = [np.zeros(plan.users) for _ in range(5)]
        self.ledger = Ledger(
            arm=[arm_of(f"{TENANT}/{name}", policy) for name in self.customers.ids],
            churned=np.zeros(plan.users, dtype=bool),
            left_alone=np.zeros(plan.users, dtype=bool),
            active_hours=zeros[0],
            revenue=zeros[1],
            cost=zeros[2],
            complaints=zeros[3],
            messages=zeros[4],
        )

    def run(self, on_day: Callable[[int, int], None] = lambda day, days: None) -> Ledger:
        """All the days, one after the other; `on_day` is told how many of them are over.

        Raises:
            UnavailableError: the stack does not answer.
        """
        total = WARM_UP_DAYS + self.plan.days
        for day in range(total):
            live = day >= WARM_UP_DAYS
            if self._learns and day > WARM_UP_DAYS and (day - WARM_UP_DAYS) % _WEEK == 0:
                self._learn(day)
            self._day(day, live)
            on_day(day + 1, total)
        self.ledger.churned, self.ledger.left_alone = ~self.mood.here, ~self.double.here
        return self.ledger

    def _day(self, day: int, live: bool) -> None:
        plan, begin_ms = self.plan, BEGIN_MS + day * DAY_MS
        end_ms = self.live_ms + plan.days * DAY_MS
        replay = Replay(until=end_ms, compose=True) if live else Replay(until=self.live_ms)
        events: list[Event] = []
        if day == 0:
            events += [account_of(self.customers, who, begin_ms, replay) for who in range(plan.users)]
        events += [
            account_of(self.customers, self._number[one.user_id], begin_ms, replay, consent=False)
            for one in self._accounts
        ]
        self._accounts = []
        events += events_of(self.customers, self.mood, plan.seed, day, begin_ms, replay, plan.assumed)
        self.ledger.events += len(events)
        self._count_panes(events, self.ledger.active_hours if live else self.hours_before)
        decisions = self._engine.day(events, begin_ms + DAY_MS, replay)
        outcomes = self._react(decisions) if live else []
        chances = Day(self.customers, plan.seed, day, plan.assumed)
        left = pass_day(self.mood, self.customers, chances, plan.assumed)
        gone = pass_day(self.double, self.customers, chances, plan.assumed)
        # Of one who was won back and left again the first time counts.
        self.left_on[left] = np.minimum(self.left_on[left], begin_ms + DAY_MS)
        self.double_left_on[gone] = begin_ms + DAY_MS
        if live:
            outcomes += self._gone(left.tolist(), begin_ms + DAY_MS)
            self._note(outcomes)
        self._accounts += [
            account_of(self.customers, who, begin_ms, replay)
            for who in left.tolist()
            if self.mood.cancelled[who]
        ]
        if live:
            here = self.mood.here
            of_arm = {arm: np.array([one == arm for one in self.ledger.arm]) for arm in plan.arms}
            self.ledger.here.append([float(here[mask].mean()) for mask in of_arm.values()])

    def _react(self, decisions: list[Decision]) -> list[UserOutcome]:
        """What customers make of the day's messages, in the order of their times."""
        ledger, outcomes = self.ledger, []
        for one in sorted(decisions, key=lambda one: (one.at, one.id)):
            who = self._number[one.user_id]
            ledger.decisions.append(_slim(one))
            if one.held_by is not HeldBy.REPLAY:  # of the warm-up, which nobody reports on
                self._last[who] = ledger.decisions[-1]
            if one.outcome is not Outcome.SENT:
                continue
            answers = respond(self.customers, self.mood, who, one, self.plan.assumed, self.plan.world)
            ledger.messages[who] += 1
            ledger.fits[one.id] = answers.fit, answers.need
            ledger.revenue[who] += answers.revenue
            ledger.cost[who] += answers.cost
            if answers.unsubscribed:
                self._accounts.append(account_of(self.customers, who, one.at, Replay(until=0)))
            outcomes += answers.outcomes
        return outcomes

    def _gone(self, left: list[int], ts: int) -> list[UserOutcome]:
        """Those who left, as the tenant reports it: of the last decision about them, if there was one."""
        found = [(who, self._last.get(who)) for who in left]
        return [
            outcome(last, OutcomeKind.CHURNED, ts)
            for _, last in found
            if last is not None and ts - last.at < _CHURN_DAYS * DAY_MS
        ]

    def _note(self, outcomes: list[UserOutcome]) -> None:
        bad = (OutcomeKind.COMPLAINT, OutcomeKind.UNSUBSCRIBED)
        for one in outcomes:
            self.ledger.complaints[self._number[one.user_id]] += one.kind in bad
        self.ledger.outcomes += outcomes
        self._engine.report(outcomes)

    def _count_panes(self, events: list[Event], hours: Floats) -> None:
        for event in events:
            if isinstance(event, Login | Usage):
                who = self._number[event.user_id]
                pane = pane_of(event.ts, self._phases[who])
                if self._pane.get(who) != pane:  # a day's events stand in the order of time
                    self._pane[who] = pane
                    hours[who] += 1

    def _learn(self, day: int) -> None:
        """A week is over: as `holdfast bandit update --apply` has it, from the records alone."""
        decisions, feedback = self._engine.known(self.ledger.decisions, self.ledger.outcomes)
        found = propose(decisions, feedback, RuleBook(self.versions), ORDER)
        self.ledger.proposals.append(found)
        if not found.refused:
            self.rules = revised(self.rules, ORDER, found.after, BEGIN_MS + day * DAY_MS)
            self.versions.append(self.rules)
            self._engine.publish(self.rules)


def _slim(decision: Decision) -> Decision:
    """Without what the author was told, which is most of a record, and nothing here reads once it is sent."""
    script = None if decision.script is None else msgspec.structs.replace(decision.script, told=None)
    return msgspec.structs.replace(decision, script=script, fallbacks={})


def written_share(decisions: list[Decision]) -> float:
    """Share of the scripts sent that the model wrote."""
    rungs = [one.script.rung for one in decisions if one.outcome is Outcome.SENT and one.script is not None]
    return sum(rung is not Rung.TEMPLATE for rung in rungs) / max(1, len(rungs))
