"""What came of decisions: each figure counts what it says, once, and says why where it cannot."""

from collections.abc import Iterator
from itertools import count

import pytest

from schemas.decision import Timing, decision_id
from schemas.outcome import OutcomeKind, UserOutcome
from schemas.vocabulary import Cause, HeldBy, Rung
from streams.effects import Effects, Figure, Published
from tests import records

HOUR_MS = 3_600_000
_numbers = count()


def decision(
    user: str, rung: Rung | None = Rung.DRAFT, held_by: HeldBy | None = None, took_ms: float = 10
) -> Published:
    at = next(_numbers) * HOUR_MS
    made = records.decision(
        id=decision_id("acme", user, Cause.DECLINE, at),
        user_id=user,
        at=at,
        held_by=held_by,
        script=None if held_by else records.script(rung=rung or Rung.DRAFT),
        timing=Timing(detected_ms=at, published_ms=at),
    )
    return Published(made, at + round(took_ms))


def outcome(of: Published, kind: OutcomeKind, value: float = 0.0, *, simulated: bool = False) -> UserOutcome:
    return UserOutcome(
        outcome_id=f"o{next(_numbers)}",
        decision_id=of.decision.id,
        tenant="acme",
        user_id=of.decision.user_id,
        kind=kind,
        ts=of.append_ms,
        value=value,
        simulated=simulated,
    )


@pytest.fixture
def sent() -> list[Published]:
    return [decision(f"u{n}") for n in range(40)]


@pytest.fixture
def held_out() -> list[Published]:
    return [decision(f"h{n}", held_by=HeldBy.HOLDOUT) for n in range(40)]


def every_figure(effects: Effects) -> Iterator[Figure]:
    yield effects.latency_p99_ms()
    yield effects.draft_hit_rate()
    yield effects.response_rate()
    yield effects.response_lift()
    yield effects.complaint_rate()
    yield effects.conversion_lift()
    yield effects.churn_change()
    yield effects.nps_change()
    yield effects.ltv_effect()
    yield effects.cost_per_saved(0.02)


def test_where_nothing_is_known_each_figure_says_so() -> None:
    for figure in every_figure(Effects([], [])):
        assert figure.value is None
        assert figure.missing


def test_without_outcomes_only_the_service_is_judged(sent: list[Published]) -> None:
    effects = Effects(sent, [])
    assert effects.latency_p99_ms().value == 10
    assert effects.draft_hit_rate().value == 1
    assert effects.response_rate().missing == "no outcome has been reported"
    assert effects.churn_change().missing == "no outcome has been reported"


def test_an_answer_counts_once_whatever_its_form(sent: list[Published]) -> None:
    answers = [outcome(sent[0], kind) for kind in (OutcomeKind.CLICKED, OutcomeKind.REPLIED)]
    answers += [outcome(sent[1], OutcomeKind.CONVERTED), outcome(sent[2], OutcomeKind.OPENED)]
    figure = Effects([*sent, *sent], [*answers, *answers]).response_rate()
    assert (figure.value, figure.n) == (2 / 40, 40)
    assert figure.ci is not None
    assert figure.ci[0] <= 2 / 40 <= figure.ci[1]


def test_an_outcome_of_no_known_decision_counts_for_nothing(sent: list[Published]) -> None:
    stray = outcome(decision("somebody"), OutcomeKind.CLICKED)
    known = outcome(sent[0], OutcomeKind.OPENED)
    assert Effects(sent, [stray, known]).response_rate().value == 0


def test_real_and_simulated_outcomes_are_never_put_together(sent: list[Published]) -> None:
    outcomes = [
        outcome(sent[0], OutcomeKind.CLICKED),
        *(outcome(one, OutcomeKind.CLICKED, simulated=True) for one in sent[:20]),
    ]
    assert Effects(sent, outcomes).response_rate().value == 1 / 40
    made_up = Effects(sent, outcomes, simulated=True).response_rate()
    assert made_up.value == 20 / 40
    assert "simulated" in made_up.remark


def test_a_comparison_needs_users_who_were_held_out(sent: list[Published]) -> None:
    left = [outcome(one, OutcomeKind.CHURNED) for one in sent[:10]]
    assert Effects(sent, left).churn_change().missing == "no users were held out"


def test_who_was_written_to_is_compared_with_who_was_held_out(
    sent: list[Published], held_out: list[Published]
) -> None:
    outcomes = [
        *(outcome(one, OutcomeKind.CHURNED) for one in sent[:4]),
        *(outcome(one, OutcomeKind.CHURNED) for one in held_out[:20]),
        *(outcome(one, OutcomeKind.CONVERTED, 30.0) for one in sent[4:14]),
        *(outcome(one, OutcomeKind.NPS, 10) for one in sent[:10]),
        *(outcome(one, OutcomeKind.NPS, 3) for one in held_out[:10]),
    ]
    effects = Effects([*sent, *held_out], outcomes)
    assert effects.churn_change().value == pytest.approx(4 / 40 - 20 / 40)
    assert effects.conversion_lift().value == pytest.approx(10 / 40)
    assert effects.ltv_effect().value == pytest.approx(10 * 30 / 40)
    assert effects.nps_change().value == pytest.approx(200)
    cost = effects.cost_per_saved(0.02)
    assert cost.value == pytest.approx(0.02 / 0.4)
    assert cost.ci is not None
    assert cost.ci[0] < 0.05 < cost.ci[1]


def test_where_it_is_not_certain_that_anybody_was_saved_no_cost_is_made_up(
    sent: list[Published], held_out: list[Published]
) -> None:
    outcomes = [outcome(one, OutcomeKind.CHURNED) for one in (*sent[:10], *held_out[:11])]
    assert Effects([*sent, *held_out], outcomes).cost_per_saved(0.02).missing


def test_a_slow_record_shows_in_the_tail_and_a_rung_in_its_own_rate() -> None:
    published = [decision("u1"), decision("u2", Rung.TEMPLATE, took_ms=400)]
    effects = Effects(published, [])
    p99 = effects.latency_p99_ms()
    assert p99.value == pytest.approx(396.1)
    assert "50.0% within 50 ms" in p99.remark
    assert effects.draft_hit_rate().value == 0.5
