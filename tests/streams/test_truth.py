"""A record that names a wrong rung is found out."""

import itertools

import msgspec
import pytest

from operators import templates
from schemas.decision import Decision, Draft, Timing
from schemas.vocabulary import Locale, Reason, Rung, Tier
from streams.truth import untrue
from tests.records import decision, script

TEXT = "Hi Ann, how are you?"
DRAFT = Draft(
    id="draft",
    tenant="acme",
    user_id="u1",
    at=1,
    asked_at=0,
    reason=Reason.LOGIN_DROP,
    text=TEXT,
    locale=Locale.EN,
    model="nano",
    model_version="1",
    written_ms=1.0,
)
COMPOSED = {"queue": 1.0, "read": 1.0, "features": 1.0, "model": 20.0, "settle": 1.0}
AGES = {Rung.LIVE: 1.0, Rung.DRAFT: 60_000.0, Rung.SEGMENT: 600_000.0, Rung.TEMPLATE: 0.0}


def published(rung: Rung) -> Decision:
    """A true record of that rung."""
    above = {Rung.LIVE} if rung is Rung.DRAFT else set(itertools.takewhile(lambda other: other != rung, Rung))
    model, version = (templates.MODEL, templates.VERSION) if rung is Rung.TEMPLATE else ("nano", "1")
    return decision(
        id=rung.value,
        to_tier=Tier.MEDIUM,
        script=script(text=TEXT, rung=rung, model=model, model_version=version, age_ms=AGES[rung]),
        fallbacks=dict.fromkeys(above, "why"),
        timing=Timing(
            detected_ms=100.0,
            steps={"evaluate": 0.3} if rung is Rung.DRAFT else COMPOSED,
            published_ms=125.0,
        ),
    )


STANDS_IN = msgspec.structs.replace(DRAFT, id="segment", rung=Rung.SEGMENT, fallbacks={Rung.DRAFT: "why"})


def test_a_segment_s_script_that_was_filled_in_ahead_is_true_with_its_record_alone() -> None:
    ahead = msgspec.structs.replace(
        published(Rung.SEGMENT),
        timing=Timing(detected_ms=100.0, steps={"evaluate": 0.3}, published_ms=125.0),
    )
    assert list(untrue([ahead], [STANDS_IN])) == []
    assert list(untrue([ahead], []))
    assert list(untrue([named(ahead, Rung.DRAFT)], [STANDS_IN]))


def named(decision: Decision, rung: Rung) -> Decision:
    assert decision.script is not None
    return msgspec.structs.replace(decision, script=msgspec.structs.replace(decision.script, rung=rung))


def test_true_records_pass() -> None:
    assert list(untrue([published(rung) for rung in Rung], [DRAFT])) == []


@pytest.mark.parametrize(("true", "told"), list(itertools.permutations(Rung, 2)))
def test_rungs_that_are_mixed_up_are_found_out(true: Rung, told: Rung) -> None:
    (problem,) = untrue([named(published(true), told)], [DRAFT])
    assert told in problem


def test_a_draft_with_another_text_is_found_out() -> None:
    other = msgspec.structs.replace(DRAFT, text="Hi Ben, how are you?")
    assert list(untrue([published(Rung.DRAFT)], [other]))


def test_of_a_draft_and_what_stood_in_for_it_either_may_be_published() -> None:
    """Which one it is depends on when the draft came: what the record says has to be one of them."""
    both = [msgspec.structs.replace(STANDS_IN, id="draft"), DRAFT]
    assert list(untrue([published(Rung.DRAFT)], both)) == []
    assert list(untrue([published(Rung.DRAFT)], both[:1]))
