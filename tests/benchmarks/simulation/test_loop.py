"""The whole loop: customers, decisions, responses, and what the records say of them."""

import functools
import math

import msgspec
import pytest

from benchmarks.simulation.arms import ARMS, CHOICE_NAMES, first_weights
from benchmarks.simulation.command import in_memory, on_stack
from benchmarks.simulation.engines import InMemory
from benchmarks.simulation.learner import FLOOR, learned
from benchmarks.simulation.loop import Ledger, Loop, Plan
from benchmarks.simulation.parameters import World
from benchmarks.simulation.report import Report, report
from schemas.vocabulary import TIERS, HeldBy, Outcome, Rung
from streams.settings import load_settings

PLAN = Plan(users=160, days=45, seed=4)


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
    held = [one for one in ledger().decisions if one.held_by is HeldBy.EXPERIMENT]
    assert {arm[one.user_id] for one in held} == {"none"}
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


def test_the_learner_comes_to_prefer_what_is_answered_and_tries_everything() -> None:
    sent = [one for one in ledger().decisions if one.outcome is Outcome.SENT]
    given = [one for one in sent if one.ruling is not None and one.ruling.assigned[0].arm in CHOICE_NAMES]
    assert learned([], [], 1).keys() == {tier.value for tier in TIERS}
    weights = learned(given, ledger().outcomes, 1)["low"]
    assert math.isclose(sum(weights), 1) and min(weights) >= FLOOR * 0.99
    assert math.isclose(sum(first_weights(TIERS[1])), 1)
    best = CHOICE_NAMES[max(range(len(weights)), key=weights.__getitem__)]
    assert any(one.ruling is not None and one.ruling.assigned[0].arm == best for one in given)


def test_the_report_has_every_arm_against_no_action_and_the_truth_of_it() -> None:
    found = report(ran(), "in memory", 1.0, 0)
    assert [one.arm for one in found.arms] == list(ARMS)
    assert found.simulated and found.sent == ledger().messages.sum()
    for one in found.arms:
        churn = one.figures["churned"]
        assert churn.ci[0] <= churn.value <= churn.ci[1]
        assert bool(one.against_none) == (one.arm != "none")
    assert {one.arm for one in found.recovery} == set(ARMS) - {"none"}
    assert msgspec.json.decode(msgspec.json.encode(found), type=Report).arms == found.arms


@pytest.mark.real
def test_the_loop_runs_through_the_real_stack() -> None:
    found = on_stack(Plan(users=60, days=10, seed=7, world=World.ASSUMED), load_settings())
    assert found.sent > 0 and found.written_share > 0
    assert found.differing == 0
