"""The steps of the main job that hold on every engine: admit a record, word what comes out.

Engines differ in how they keep state, time and order; what happens to a record is only here.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from operators.lifecycle import Lifecycle, Settled
from schemas.codec import accept, encode
from schemas.deadletter import DeadLetter
from schemas.decision import Crossing, Decision, Draft, DraftRequest, Script, Timing
from schemas.errors import RejectedEvent
from schemas.events import Event, Tick
from schemas.policy import RuleBook
from schemas.risk import Risk
from schemas.topics import CROSSINGS, DECISIONS, DRAFT_REQUESTS, DRAFTS, INTERVENTIONS, REJECTED, RISKS
from schemas.vocabulary import HeldBy, Locale, Outcome, Reason, Rung
from streams.tenants import Tenants


class Place(NamedTuple):
    """Where a record lies, and when (epoch ms) the broker appended it."""

    topic: str
    partition: int
    offset: int
    append_ms: int


class Out(NamedTuple):
    """A record to publish."""

    topic: str
    key: bytes | None
    value: bytes


_AT_HAND = "not tried: what was written ahead was at hand"
_answers: dict[str, msgspec.json.Decoder[Draft | Risk]] = {
    DRAFTS.name: msgspec.json.Decoder(Draft),
    RISKS.name: msgspec.json.Decoder(Risk),
}
"""What comes back of the agents, by topic."""


def admit(place: Place, key: bytes | None, value: bytes | None) -> Event | Draft | Risk | Tick:
    """What a record holds. A tick is for nobody; all else is for the user that the key names.

    Raises:
        RejectedEvent: the record belongs into the dead-letter topic.
    """
    decoder = _answers.get(place.topic)
    if decoder is None:
        return accept(key, value, place.append_ms)
    try:
        answer = decoder.decode(value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RejectedEvent("record", f"does not belong on {place.topic}: {error}") from None
    if key != answer.key.encode():
        raise RejectedEvent("key", f"is {key!r}, but the record is for {answer.key!r}")
    return answer


def reject(place: Place, key: bytes | None, value: bytes | None, error: RejectedEvent) -> Out:
    """The dead letter of a rejected record, under the key that it had."""
    letter = DeadLetter(
        topic=place.topic,
        partition=place.partition,
        offset=place.offset,
        append_ms=place.append_ms,
        field=error.field,
        reason=error.reason,
        key=key,
        value=value,
    )
    return Out(REJECTED.name, key, encode(letter))


def lifecycle(user: str, tenants: Tenants, book: RuleBook, lead_ms: int) -> Lifecycle:
    """The operator of `user` (`tenant/user_id`), as the user's tenant wants it."""
    tenant = tenants.of(user.partition("/")[0])
    lead_ms = 0 if tenant.only_templates else lead_ms  # nothing that a model writes ahead would be sent
    return Lifecycle(user, tenant.care_on_rise, lead_ms, tenant.risk_threshold, tenant.risk_clear, book)


def may_offer(settled: Settled, tenants: Tenants, book: RuleBook) -> bool:
    """Whether the tenant bounds its offers of a day, and a script for this crossing may carry one."""
    crossing, ruling = settled.crossing, settled.crossing.ruling
    if ruling is None or not ruling.is_worded:
        return False
    if book.at(crossing.decided_at).of(crossing.tenant).offers_per_day is None:
        return False
    locale = Locale.of(None if crossing.account is None else crossing.account.locale)
    offer = tenants.of(crossing.tenant).offer(crossing.strategy, locale, ruling.treatment.offer)
    return offer is not None


def budgeted(settled: Settled, crossing: Crossing) -> Settled:
    """`settled` as the tenant's budget has decided its `crossing`: without its draft where that holds it."""
    after = Settled(crossing, settled.draft)
    return Settled(crossing) if after.held_by is HeldBy.OFFER_BUDGET else after


def settle(found: Settled | DraftRequest, detected_ms: float, now_ms: float) -> Iterator[Out]:
    """The records for a crossing: its decision where that stands, else what is still to be composed.

    `detected_ms` is when the watermark passed its boundary, unless the crossing knows better; `now_ms` is
    the present (epoch ms).
    """
    if isinstance(found, DraftRequest):
        yield Out(DRAFT_REQUESTS.name, _key(found.crossing), encode(found))
        return
    crossing, held_by, draft = found.crossing, found.held_by, found.draft
    detected_ms = crossing.detected_ms or detected_ms
    if held_by in (None, HeldBy.DRY_RUN) and draft is None:
        crossing = msgspec.structs.replace(crossing, detected_ms=detected_ms)
        yield Out(CROSSINGS.name, _key(crossing), encode(crossing))
        return
    result = decision(
        crossing,
        held_by,
        reason=None if draft is None else draft.reason,
        script=None if draft is None else _script(draft, now_ms),
        fallbacks={} if draft is None else {Rung.LIVE: _AT_HAND} | draft.fallbacks,
        timing=Timing(
            detected_ms=detected_ms, steps=_steps(crossing, detected_ms, now_ms), published_ms=now_ms
        ),
    )
    yield from publish(result)


def decision(
    crossing: Crossing,
    held_by: HeldBy | None,
    *,
    reason: Reason | None,
    script: Script | None,
    fallbacks: dict[Rung, str],
    timing: Timing,
) -> Decision:
    """The record of what was decided on `crossing`, whoever decides it."""
    return Decision(
        id=crossing.id,
        tenant=crossing.tenant,
        user_id=crossing.user_id,
        cause=crossing.cause,
        at=crossing.at,
        from_tier=crossing.from_tier,
        to_tier=crossing.to_tier,
        activity=crossing.activity,
        recent=crossing.recent,
        prior=crossing.prior,
        usual=crossing.usual,
        tenure=crossing.tenure,
        outcome=Outcome.SENT if held_by is None else Outcome.HELD,
        held_by=held_by,
        strategy=crossing.strategy,
        reason=reason,
        script=script,
        fallbacks=fallbacks,
        risk=crossing.risk,
        ruling=crossing.ruling,
        timing=timing,
    )


def publish(decision: Decision) -> Iterator[Out]:
    """A decision goes among all of them, and where it is sent, among those for the ones who send."""
    key, record = f"{decision.tenant}/{decision.user_id}".encode(), encode(decision)
    yield Out(DECISIONS.name, key, record)
    if decision.outcome is Outcome.SENT:
        yield Out(INTERVENTIONS.name, key, record)


def _steps(crossing: Crossing, detected_ms: float, now_ms: float) -> dict[str, float]:
    if crossing.risk is None:
        return {"evaluate": now_ms - detected_ms}
    assessed_ms = crossing.risk.assessed_ms
    return {"assess": assessed_ms - detected_ms, "evaluate": now_ms - assessed_ms}


def _script(draft: Draft, now_ms: float) -> Script:
    return Script(
        text=draft.text,
        template=draft.template,
        locale=draft.locale,
        rung=draft.rung,
        model=draft.model,
        model_version=draft.model_version,
        age_ms=round(now_ms - draft.written_ms, 3),
        told=draft.told,
    )


def _key(crossing: Crossing) -> bytes:
    return crossing.key.encode()
