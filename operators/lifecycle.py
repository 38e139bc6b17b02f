"""One user's life in the stream: the operator that turns active panes and passing time into crossings."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from msgspec import Struct

from operators.forecast import percent_at
from operators.policy import SENT_MS, put_off, rule
from operators.tier import activity, next_tier, tier_of, usual_hours
from operators.userstate import (
    UserState,
    Waiting,
    forgotten,
    marked,
    stale,
    with_account,
    with_forecast,
    with_replay,
    with_sent,
)
from operators.window import boundary_ms, pane_of, phase_ms
from schemas.decision import AGAIN, Crossing, Draft, DraftRequest, Ruling, Standing, decision_id
from schemas.events import Account, Login, Support, Usage
from schemas.policy import RuleBook
from schemas.risk import Risk
from schemas.vocabulary import Cause, HeldBy, Rung, Tier

_NO_RULES = RuleBook()


class Settled(Struct, frozen=True):
    """A crossing that the rules have decided, and the script that waited for it, if there is one."""

    crossing: Crossing
    draft: Draft | None = None

    @property
    def held_by(self) -> HeldBy | None:
        """The rule that holds the crossing back."""
        return None if self.crossing.ruling is None else self.crossing.ruling.held_by


class Lifecycle(Struct, frozen=True):
    """The operator of one user, whose key is `tenant/user_id`.

    `care_on_rise`: the user's tenant has a care script sent to who comes back to `very_low`. `lead_ms`: how
    long before a crossing its script is asked for; 0 for never. `risk_threshold` and `risk_clear`: the churn
    probability over which a user crosses, and below which they may cross again. `book` holds the rules under
    which a crossing may be sent.

    Feed it the events of the user, and the drafts for them and assessments of them, with the watermark of
    their arrival, and wake it when event time reaches `due`: what it gives back is each crossing, once, in
    the order of event time, and before it, where there is time, the request for its script. A risk crossing
    comes at once with its assessment.

    >>> from operators.window import PANE_MS
    >>> life, state = Lifecycle("acme/u1"), Lifecycle.start()
    >>> for hour in range(0, 40 * 24, 8):
    ...     event = Login(event_id=f"e{hour}", tenant="acme", user_id="u1", ts=hour * PANE_MS)
    ...     state, _ = life.step(state, event, watermark_ms=hour * PANE_MS - 1)
    ...     while life.due(state) <= hour * PANE_MS:
    ...         state, _ = life.wake(state, life.due(state))
    >>> for _ in range(4):
    ...     state, (settled,) = life.wake(state, life.due(state))
    ...     print(settled.crossing.to_tier.value, round(settled.crossing.activity, 1))
    low 85.7
    medium 57.1
    high 28.6
    critical 9.5
    """

    key: str
    care_on_rise: bool = False
    lead_ms: int = 0
    risk_threshold: float = 0.5
    risk_clear: float = 0.4
    book: RuleBook = _NO_RULES

    @staticmethod
    def start() -> UserState:
        """The state of a user of whom nothing is known."""
        return UserState()

    def step(
        self, state: UserState, event: Login | Usage | Support | Account | Draft | Risk, watermark_ms: int
    ) -> tuple[UserState, tuple[Settled, ...]]:
        """The state after `event`, which arrived when event time had reached `watermark_ms`.

        An event decides nothing by itself: what it changes shows at the boundaries to come, or comes back
        as an assessment. A draft that is not the answer to the last request changes nothing.
        """
        if isinstance(event, Risk):
            return self._assessed(state, event)
        if isinstance(event, Draft):
            return self._drafted(state, event), ()
        state = with_replay(state, event.replay)
        match event:
            case Account():
                return with_account(state, event, watermark_ms), ()
            case Support():
                return stale(state), ()
            case Login() | Usage():
                phase = phase_ms(self.key)
                settled = pane_of(watermark_ms + 1, phase) - 1
                return marked(state, pane_of(event.ts, phase), settled), ()

    def due(self, state: UserState) -> int | None:
        """Event time (ms) of the next change if no event comes: the last ms before the boundary.

        Or before the time that a crossing was put off to; or when to ask for the script for one of them,
        where that comes first.
        """
        return min((moment.due for moment in self._moments(state, None)), default=None)

    def wake(self, state: UserState, now_ms: int) -> tuple[UserState, tuple[Settled | DraftRequest, ...]]:
        """The state once event time has reached `now_ms`, and the crossings and requests up to then."""
        found: list[Settled | DraftRequest] = []
        while moments := [moment for moment in self._moments(state, now_ms) if moment.due <= now_ms]:
            moment = min(moments, key=lambda one: one.due)
            one: Settled | DraftRequest | None
            if moment.asks:
                state, one = self._ask(state, moment.waiting, now_ms)
            elif moment.waiting is None:
                state, one = self._cross(state)
            else:
                state, one = self._again(state, moment.waiting)
            if one is not None:
                found.append(one)
        return state, tuple(found)

    def _moments(self, state: UserState, now_ms: int | None) -> Iterator["_Moment"]:
        """What is to come: the forecast, then what was put off, in the order of their places.

        Where event time has reached `now_ms`, it is too late to ask for the script of what is due by then.
        """
        if state.window is not None:
            boundary = self._boundary(state)
            yield self._moment(boundary, self._asks(state, boundary), None, now_ms)
        for place, one in enumerate(state.waiting):
            asks = self.lead_ms > 0 and one.asked_at is None and one.at > state.history_until
            yield self._moment(one.at, asks, place, now_ms)

    def _moment(self, at: int, asks: bool, waiting: int | None, now_ms: int | None) -> "_Moment":
        in_time = asks and (now_ms is None or at - 1 > now_ms)
        return _Moment(at - 1 - self.lead_ms * in_time, in_time, waiting)

    def _boundary(self, state: UserState) -> int:
        """The boundary (epoch ms) of the forecast."""
        return boundary_ms(state.next, phase_ms(self.key))

    def _asks(self, state: UserState, boundary: int) -> bool:
        """Whether a script is still to be asked for ahead of `boundary`: never in a replay, nor twice.

        Nor where the last pane before it is active already: what else the user does in it is not told to
        the operator, and would make the script's facts wrong unseen.
        """
        return (
            self.lead_ms > 0
            and state.asked_at is None
            and state.window is not None
            and state.tier is not None
            and boundary > state.history_until
            and not state.window.active(state.next)
        )

    def _ask(self, state: UserState, place: int | None, now_ms: int) -> tuple[UserState, DraftRequest | None]:
        """Ask for the script of the forecast, or of what waits at `place`, if it is going to be sent."""
        if place is None:
            after, crossing = self._evaluate(state, self._boundary(state))
            asked = msgspec.structs.replace(state, asked_at=now_ms)
            foreseen = None if crossing is None else self._ruled(after, crossing, crossing.at)
        else:
            one = state.waiting[place]
            asked = _with_waiting(state, place, msgspec.structs.replace(one, asked_at=now_ms))
            foreseen = self._ruled(state, one.crossing, one.at)
        ruling = None if foreseen is None else foreseen.ruling
        if foreseen is None or ruling is None or not ruling.is_worded or not _may_be_drafted(ruling):
            return asked, None
        return asked, DraftRequest(crossing=foreseen, asked_at=now_ms)

    def _cross(self, before: UserState) -> tuple[UserState, Settled | None]:
        """What the forecast said has come."""
        state, crossing = self._evaluate(before, self._boundary(before))
        if crossing is None:
            return state, None
        return self._decided(state, self._ruled(state, crossing, crossing.at), before.asked_at, before.draft)

    def _again(self, state: UserState, place: int) -> tuple[UserState, Settled]:
        """What was put off is decided again."""
        one = state.waiting[place]
        state = _with_waiting(state, place)
        return self._decided(state, self._ruled(state, one.crossing, one.at), one.asked_at, one.draft)

    def _ruled(self, state: UserState, crossing: Crossing, at_ms: int) -> Crossing:
        """The crossing with what the rules say of it at `at_ms`, of the user as in `state`."""
        account = state.account(at_ms)
        standing = Standing(
            at=at_ms,
            tier=state.tier,
            consent=account is None or account.consent,
            plan="free" if account is None else account.plan,
            time_zone=None if account is None else account.time_zone,
            sent=tuple(sent for sent in state.sent if sent > at_ms - SENT_MS),
            rose_at=state.rose_at,
            in_replay=at_ms <= state.history_until and not state.compose,
            cared_for=self.care_on_rise and crossing.to_tier is Tier.VERY_LOW,
        )
        ruling = rule(self.book.at(at_ms), crossing, standing)
        return msgspec.structs.replace(crossing, account=account, ruling=ruling)

    def _decided(
        self, state: UserState, crossing: Crossing, asked_at: int | None, draft: Draft | None
    ) -> tuple[UserState, Settled]:
        """The state when the rules have decided `crossing`, and that with the draft which may be sent."""
        ruling = crossing.ruling
        assert ruling is not None  # the callers have just asked the rules
        at_ms = ruling.standing.at
        if crossing.cause is Cause.RISE and at_ms == crossing.at:  # put off, it is no second rise
            state = msgspec.structs.replace(state, rose_at=at_ms)
        if ruling.is_counted:
            state = with_sent(state, at_ms)
        if ruling.is_put_off and ruling.allowed_at is not None:
            waiting = (*state.waiting, Waiting(put_off(crossing), ruling.allowed_at))
            state = msgspec.structs.replace(state, waiting=waiting)
        if not ruling.is_worded:
            return state, Settled(crossing)
        if not self.lead_ms:  # the tenant does not want any, and may have done so when this one was asked for
            asked_at = None
        no_draft = crossing.no_draft or _no_draft(ruling, asked_at, draft)
        if no_draft:
            return state, Settled(msgspec.structs.replace(crossing, no_draft=no_draft))
        return state, Settled(crossing, draft)

    def _drafted(self, state: UserState, draft: Draft) -> UserState:
        """The state with `draft`, if it is the answer to the last request for its crossing."""
        for place, one in enumerate(state.waiting):
            if (one.crossing.id, one.asked_at) == (draft.id, draft.asked_at):
                return _with_waiting(state, place, msgspec.structs.replace(one, draft=draft))
        if state.window is None or draft.id.endswith(AGAIN):
            return state
        fits = draft.asked_at == state.asked_at and draft.at == self._boundary(state)
        return msgspec.structs.replace(state, draft=draft) if fits else state

    def _evaluate(self, state: UserState, boundary: int) -> tuple[UserState, Crossing | None]:
        """The evaluation at `boundary`, where the forecast pane ends."""
        assert state.window is not None  # only a window is ever due
        pane, window = state.next, state.window
        recent, prior = window.counts(pane)
        if recent + prior == 0:
            return forgotten(state, pane), None
        tenure = pane - state.first + 1
        percent = percent_at(window.mask, pane - window.done - 1, tenure)
        tier = tier_of(percent) if state.tier is None else next_tier(state.tier, percent)
        after = with_forecast(msgspec.structs.replace(state, window=window.at(pane), tier=tier))
        if state.tier is None or tier is state.tier:
            return after, None
        tenant, _, user_id = self.key.partition("/")
        cause = Cause.DECLINE if tier.rank > state.tier.rank else Cause.RISE
        return after, Crossing(
            id=decision_id(tenant, user_id, cause, boundary),
            tenant=tenant,
            user_id=user_id,
            cause=cause,
            at=boundary,
            from_tier=state.tier,
            to_tier=tier,
            activity=percent,
            recent=recent,
            prior=prior,
            usual=usual_hours(prior, tenure),
            tenure=tenure,
        )

    def _assessed(self, state: UserState, risk: Risk) -> tuple[UserState, tuple[Settled, ...]]:
        """The state after an assessment, and the crossing where the probability rose over the threshold.

        One of an event that is not later than the last one's changes nothing: it is a copy, or was
        overtaken. Nor does one of a user without a tier, or of a sequence that lacks hours which are
        counted here (the one under way may be missing): the probability would be that of another life.
        """
        told = (risk.at, risk.event_id)
        if state.tier is None or told <= state.assessed:
            return state, ()
        assert state.window is not None  # who has a tier has a window
        pane = max(pane_of(risk.at, phase_ms(self.key)), state.window.done + 1)
        recent, prior = state.window.counts(pane)
        if risk.active_hours + 1 < recent + prior:
            return state, ()
        probability = risk.assessment.probability
        stays = state.at_risk and probability >= self.risk_clear
        at_risk = stays or probability > self.risk_threshold
        after = msgspec.structs.replace(state, at_risk=at_risk, assessed=told)
        if state.at_risk or not at_risk:
            return after, ()
        tenant, _, user_id = self.key.partition("/")
        tenure = pane - state.first + 1
        usual = usual_hours(prior, tenure)
        crossing = Crossing(
            id=decision_id(tenant, user_id, Cause.RISK, risk.event_id),
            tenant=tenant,
            user_id=user_id,
            cause=Cause.RISK,
            at=risk.at,
            from_tier=state.tier,
            to_tier=state.tier,
            activity=activity(recent, usual),
            recent=recent,
            prior=prior,
            usual=usual,
            tenure=tenure,
            no_draft="what is written ahead is for another crossing",
            detected_ms=risk.detected_ms,
            risk=risk.assessment,
        )
        # An account event that overtook the assessment counts: it may be what forbids the script.
        known_ms = max((account.ts + 1 for account in after.accounts), default=risk.at)
        state, settled = self._decided(
            after, self._ruled(after, crossing, max(risk.at, known_ms)), None, None
        )
        return state, (settled,)


class _Moment(NamedTuple):
    """Something that is to come when event time reaches `due` (ms): at the forecast, or at what waits."""

    due: int
    asks: bool
    waiting: int | None


def _with_waiting(state: UserState, place: int, *instead: Waiting) -> UserState:
    """The state with what waits at `place` exchanged, or gone."""
    waiting = (*state.waiting[:place], *instead, *state.waiting[place + 1 :])
    return msgspec.structs.replace(state, waiting=waiting)


def _may_be_drafted(ruling: Ruling) -> bool:
    return ruling.treatment.rung in (None, Rung.DRAFT)


def _no_draft(ruling: Ruling, asked_at: int | None, draft: Draft | None) -> str:
    """Why what was written ahead cannot be sent; empty where it can."""
    if not _may_be_drafted(ruling):
        return f"an experiment wants the {ruling.treatment.rung}"
    if asked_at is None:
        return "not asked for"
    if draft is None:
        return "asked for, and not there yet"
    return "" if draft.treatment == ruling.treatment else "written for another treatment"
