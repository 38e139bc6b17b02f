"""The whole loop: customers, decisions, responses, and what the records say of them."""

import functools
import math
from pathlib import Path

import msgspec
import numpy as np
import pytest

from benchmarks.simulation import loop as looping
from benchmarks.simulation import report as reporting
from benchmarks.simulation.arms import ARMS, CHOICE_NAMES, LEARNS, NONE, first_weights
from benchmarks.simulation.command import in_memory, on_stack, write_records
from benchmarks.simulation.engines import InMemory
from benchmarks.simulation.loop import BEGIN_MS, WARM_UP_DAYS, Ledger, Loop, Plan
from benchmarks.simulation.parameters import TENANT, World
from benchmarks.simulation.pool import together
from benchmarks.simulation.report import Figure, Report, difference, report
from benchmarks.simulation.rhythm import DAY_MS
from schemas.vocabulary import TIERS, HeldBy, Outcome, Rung
from streams.commands.records import published, reported_outcomes
from streams.learning import Proposal
from streams.rulefile import load_rules
from streams.settings import load_settings

PLAN = Plan(users=300, days=40, seed=4)


@functools.cache
def ran(world: World = World.ASSUMED) -> Loop:
    loop = Loop(msgspec.structs.replace(PLAN, world=world), InMemory())
    loop.run()
    return loop


def ledger(world: World = World.ASSUMED) -> Ledger:
    return ran(world).ledger


def test_each_arm_gets_what_it_should() -> None:
    arm = dict(zip(ran().customers.ids, ledger().arm, strict=True))
    assert set(arm.values()) == set(ARMS)
    sent = [one for one in ledger().decisions if one.outcome is Outcome.SENT]
    assert {arm[one.user_id] for one in sent} == {"template", "random", "holdfast"}
    held = [one for one in ledger().decisions if one.held_by is HeldBy.HOLDOUT]
    assert {arm[one.user_id] for one in held} == {NONE}
    by_template = [one for one in sent if arm[one.user_id] == "template"]
    assert all(one.strategy is one.to_tier.strategy for one in by_template)
    assert all(one.script is not None and one.script.rung is Rung.TEMPLATE for one in by_template)


def test_nobody_who_is_left_alone_fares_otherwise_than_their_double() -> None:
    alone = [arm == "none" for arm in ledger().arm]
    assert (ledger().churned == ledger().left_alone)[alone].all()
    assert ledger().messages[alone].sum() == 0


def test_messages_change_customers_and_deaf_ones_live_as_ever() -> None:
    assert (ran().mood.satisfaction != ran().double.satisfaction).any()
    deaf = ran(World.DEAF)
    assert deaf.ledger.messages.sum() > 0
    # No message moves anybody, so no arm can win.
    assert (deaf.mood.satisfaction == deaf.double.satisfaction).all()
    assert (deaf.ledger.churned == deaf.ledger.left_alone).all()


def test_all_outcomes_are_marked_as_simulated_and_belong_to_a_decision() -> None:
    known = {one.id: one for one in ledger().decisions}
    assert ledger().outcomes
    for one in ledger().outcomes:
        assert one.simulated and known[one.decision_id].user_id == one.user_id


def test_after_an_unsubscription_nothing_more_is_sent() -> None:
    stopped = {one.user_id: one.ts for one in ledger().outcomes if one.kind == "unsubscribed"}
    for one in ledger().decisions:
        if one.user_id in stopped and one.outcome is Outcome.SENT:
            assert one.at < stopped[one.user_id] + 86_400_000


def test_the_same_seed_gives_the_same_report() -> None:
    plan = Plan(users=40, days=10, seed=2)
    one, other = (msgspec.structs.replace(in_memory(plan), seconds=0.0) for _ in range(2))
    assert msgspec.json.encode(one) == msgspec.json.encode(other)


def test_each_week_the_product_is_asked_and_what_it_refuses_changes_nothing() -> None:
    assert len(ledger().proposals) == (PLAN.days - 1) // 7
    assert all("are needed" in one.refused for one in ledger().proposals), "so few decisions teach nothing"
    assert [one.version for one in ran().versions] == ["day-0"]


def test_what_the_product_proposes_holds_from_the_next_day_on_and_for_its_arm_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    best = tuple(float(name == CHOICE_NAMES[0]) for name in CHOICE_NAMES)

    def propose(*_: object) -> Proposal:
        weights = {tier.value: best for tier in TIERS}
        return Proposal(experiment=LEARNS, arms=CHOICE_NAMES, decisions=1, answered=1, after=weights)

    monkeypatch.setattr(looping, "propose", propose)
    learning, other = (
        Loop(Plan(users=80, days=21, seed=4, learns=learns), InMemory()) for learns in (True, False)
    )
    learning.run()
    other.run()
    changed_ms = BEGIN_MS + (WARM_UP_DAYS + 7) * DAY_MS
    given: dict[bool, set[str]] = {True: set(), False: set()}
    for one in learning.ledger.decisions:
        if one.ruling is not None and one.ruling.standing.at == one.at:
            given[one.at > changed_ms].update(
                each.arm for each in one.ruling.assigned if each.experiment == LEARNS
            )
    assert given[True] == {CHOICE_NAMES[0]} < given[False]
    assert _told(learning, LEARNS, True) != _told(other, LEARNS, True)
    assert _told(learning, LEARNS, False) == _told(other, LEARNS, False)


def _told(loop: Loop, arm: str, inside: bool) -> list[object]:
    """What the customers of `arm`, or all others, were told, how well it fitted, and what they made of it."""
    theirs = {
        name for name, one in zip(loop.customers.ids, loop.ledger.arm, strict=True) if (one == arm) is inside
    }
    decided = [one for one in loop.ledger.decisions if one.user_id in theirs]
    came = [one for one in loop.ledger.outcomes if one.user_id in theirs]
    return [
        *((one.id, one.at, one.outcome, loop.ledger.fits.get(one.id)) for one in decided),
        *((one.outcome_id, one.kind, one.ts) for one in came),
    ]


def test_nothing_is_learned_at_first() -> None:
    for tier in TIERS:
        weights = first_weights(tier)
        assert math.isclose(sum(weights), 1) and min(weights) > 0.01
        assert CHOICE_NAMES[int(np.argmax(weights))].startswith(tier.strategy)


def test_the_report_has_every_arm_against_no_action_and_the_truth_of_it() -> None:
    found = report(ran(), "in memory", 1.0, 0)
    assert [one.arm for one in found.arms] == list(ARMS)
    assert found.simulated and found.sent == ledger().messages.sum()
    for one in found.arms:
        left = one.figures["left"]
        assert left.ci[0] <= left.value <= left.ci[1]
        assert bool(one.against_none) == (one.arm != NONE)
    assert found.arms[0].truth.value == 0, "nothing was done to those without messages"
    assert {one.arm for one in found.recovery} == set(ARMS) - {NONE}
    assert all(one.is_readable for one in found.recovery)
    fits = [found.attainable[name] for name in ("chance", "best by tier", "best by tier and reason")]
    assert fits == sorted(fits) and found.attainable["best by need"] > fits[-1]
    assert msgspec.json.decode(msgspec.json.encode(found), type=Report).arms == found.arms


def test_the_records_alone_give_an_effect_beside_its_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "WATCHED_DAYS", 10)
    found = report(ran(), "in memory", 1.0, 0)
    told = [one for one in found.recovery if one.estimate is not None]
    assert told and all(one.covered and one.users > 30 for one in told)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Report).recovery == found.recovery


def test_a_difference_is_adjusted_for_what_was_known_before() -> None:
    dice = np.random.default_rng(1)
    known = dice.normal(size=(4000, 2))
    treated = dice.random(4000) < 0.3
    values = 2 * known[:, 0] + 0.2 * treated + dice.normal(size=4000)
    adjusted = difference(values, treated, known)
    plain = difference(values, treated, np.zeros((4000, 1)))
    assert adjusted.ci[0] < 0.2 < adjusted.ci[1]
    assert adjusted.ci[1] - adjusted.ci[0] < 0.6 * (plain.ci[1] - plain.ci[0])


def test_seeds_together_are_surer_than_each_alone() -> None:
    one, other = Figure(value=1.0, ci=(0.0, 2.0)), Figure(value=3.0, ci=(2.0, 4.0))
    both = together([one, other], [300, 100])
    assert both.value == 1.5
    assert both.ci[1] - both.ci[0] < 2


def test_the_records_that_are_written_are_what_the_commands_read(tmp_path: Path) -> None:
    write_records(ran(), tmp_path)
    decisions = list(published(tmp_path / "decisions.jsonl"))
    assert len(decisions) == len(ledger().decisions)
    assert len(list(reported_outcomes(tmp_path / "outcomes.jsonl"))) == len(ledger().outcomes)
    (rules,) = load_rules(tmp_path / "rules.yaml")
    assert rules.of(TENANT) == ran().rules.of(TENANT)


@pytest.mark.real
def test_the_loop_runs_through_the_real_stack() -> None:
    found = on_stack(Plan(users=60, days=10, seed=7, world=World.ASSUMED), load_settings())
    assert found.sent > 0 and found.written_share > 0
    assert found.differing == 0
