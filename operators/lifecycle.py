"""One user's life in the stream: the operator that turns active panes and passing time into crossings."""

import msgspec
from msgspec import Struct

from operators.forecast import forecast, percent_at
from operators.tier import activity, next_tier, tier_of, usual_hours
from operators.window import Window, boundary_ms, pane_of, phase_ms
from schemas.decision import Crossing, Draft, DraftRequest, decision_id
from schemas.events import Account, Login, Replay, Support, Usage
from schemas.risk import Risk
from schemas.vocabulary import Cause, HeldBy, Tier


class Settled(Struct, frozen=True):
    """A crossing, and the rule that holds it back or the script that waited for it, if there is one."""

    crossing: Crossing
    held_by: HeldBy | None
    draft: Draft | None = None


class UserState(Struct, frozen=True, array_like=True):
    """What is kept of one user.

    `window` is None while no active pane is known; `first` is the first active pane, `next` the
    pane of the forecast. `history_until` is the end (epoch ms) of the replay that the user's past
    came from, `compose` whether that replay asked for scripts. `asked_at` is the event time (ms) at which a
    script was asked for ahead of the forecast, `draft` the one that came. `at_risk` holds from a risk
    crossing until the probability has fallen; `assessed` is the time (ms) and id of the event that was
    assessed last.
    """

    window: Window | None = None
    first: int = 0
    tier: Tier | None = None
    next: int = 0
    account: Account | None = None
    history_until: int = -1
    compose: bool = False
    asked_at: int | None = None
    draft: Draft | None = None
    at_risk: bool = False
    assessed: tuple[int, str] = (-1, "")


class Lifecycle(Struct, frozen=True):
    """The operator of one user, whose key is `tenant/user_id`.

    `care_on_rise`: the user's tenant has a care script sent to who comes back to `very_low`. `lead_ms`:
    how long before a crossing its script is asked for; 0 for never. `risk_threshold` and `risk_clear`: the
    churn probability over which a user crosses, and below which they may cross again.

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
            fits = event.asked_at == state.asked_at and event.at == self._boundary(state)
            return (msgspec.structs.replace(state, draft=event) if fits else state), ()
        state = _with_replay(state, event.replay)
        match event:
            case Account():
                newer = state.account is None or event.ts >= state.account.ts
                return (_stale(msgspec.structs.replace(state, account=event)) if newer else state), ()
            case Support():
                return _stale(state), ()
            case Login() | Usage():
                phase = phase_ms(self.key)
                settled = pane_of(watermark_ms + 1, phase) - 1
                return _marked(state, pane_of(event.ts, phase), settled), ()

    def due(self, state: UserState) -> int | None:
        """Event time (ms) of the next change if no event comes: the last ms before the boundary.

        Or when to ask for the script for it, where that comes first.
        """
        if state.window is None:
            return None
        boundary = self._boundary(state)
        return boundary - 1 - self.lead_ms if self._asks(state, boundary) else boundary - 1

    def wake(self, state: UserState, now_ms: int) -> tuple[UserState, tuple[Settled | DraftRequest, ...]]:
        """The state once event time has reached `now_ms`, and the crossings and requests up to then."""
        found: list[Settled | DraftRequest] = []
        while (due := self.due(state)) is not None and due <= now_ms:
            boundary = self._boundary(state)
            if boundary > now_ms + 1:
                after, crossing = self._evaluate(state, boundary)
                state = msgspec.structs.replace(state, asked_at=now_ms)
                if crossing is not None and self._held_by(after, crossing) is None:
                    found.append(DraftRequest(crossing=crossing, asked_at=now_ms))
                continue
            before, (state, crossing) = state, self._evaluate(state, boundary)
            if crossing is not None:
                found.append(self._settled(before, state, crossing))
        return state, tuple(found)

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

    def _settled(self, before: UserState, after: UserState, crossing: Crossing) -> Settled:
        held_by = self._held_by(after, crossing)
        if held_by is not None or before.draft is not None:
            return Settled(crossing, held_by, None if held_by else before.draft)
        why = "not asked for" if before.asked_at is None else "asked for, and not there yet"
        return Settled(msgspec.structs.replace(crossing, no_draft=why), None)

    def _evaluate(self, state: UserState, boundary: int) -> tuple[UserState, Crossing | None]:
        """The evaluation at `boundary`, where the forecast pane ends."""
        assert state.window is not None  # only a window is ever due
        pane, window = state.next, state.window
        recent, prior = window.counts(pane)
        if recent + prior == 0:
            return _forgotten(state, pane), None
        tenure = pane - state.first + 1
        percent = percent_at(window.mask, pane - window.done - 1, tenure)
        tier = tier_of(percent) if state.tier is None else next_tier(state.tier, percent)
        after = _forecast(msgspec.structs.replace(state, window=window.at(pane), tier=tier))
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
            account=state.account,
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
        usual = usual_hours(prior, pane - state.first + 1)
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
            account=state.account,
            no_draft="what is written ahead is for another crossing",
            detected_ms=risk.detected_ms,
            risk=risk.assessment,
        )
        return after, (Settled(crossing, self._held_by(after, crossing)),)

    def _held_by(self, state: UserState, crossing: Crossing) -> HeldBy | None:
        """The rule that holds `crossing`: nobody gets a message about the past, or against their will."""
        if crossing.at <= state.history_until and not state.compose:
            return HeldBy.REPLAY
        if state.account is not None and not state.account.consent:
            return HeldBy.CONSENT
        cared_for = self.care_on_rise and crossing.to_tier is Tier.VERY_LOW
        if crossing.cause is Cause.RISE and not cared_for:
            return HeldBy.RISE
        return None


def _with_replay(state: UserState, replay: Replay | None) -> UserState:
    if replay is None or (replay.until <= state.history_until and replay.compose == state.compose):
        return state
    until = max(replay.until, state.history_until)
    return msgspec.structs.replace(state, history_until=until, compose=replay.compose)


def _marked(state: UserState, pane: int, settled: int) -> UserState:
    """The state with `pane` active, when every boundary up to pane `settled` has been evaluated."""
    window, first = state.window, min(state.first, pane)
    if window is None:
        window, first = Window(max(settled, pane - 1)), pane
    elif state.tier is None and settled < pane <= window.done:
        # Topics are read at different speeds: before the first tier, an earlier pane may still come.
        window = window.at(pane - 1)
    elif window.done < settled < state.next:
        window = window.at(settled)
    marked = window.mark(pane)
    if marked is window:
        return state
    return _forecast(msgspec.structs.replace(state, window=marked, first=first))


def _forecast(state: UserState) -> UserState:
    assert state.window is not None  # the callers have just set it
    return _stale(msgspec.structs.replace(state, next=forecast(state.window, state.first, state.tier)))


def _stale(state: UserState) -> UserState:
    """What was written ahead, or asked for, was of other facts than those that hold now."""
    if state.asked_at is None:
        return state
    return msgspec.structs.replace(state, asked_at=None, draft=None)


def _forgotten(state: UserState, pane: int) -> UserState:
    """The user is forgotten as of `pane`; panes ahead of it, if any, begin a new onboarding."""
    assert state.window is not None  # only a window is ever evaluated
    window = state.window.at(pane)
    if not window.mask:
        return msgspec.structs.replace(state, window=None, tier=None, at_risk=False)
    first = window.base + (window.mask & -window.mask).bit_length() - 1
    return _forecast(msgspec.structs.replace(state, window=window, first=first, tier=None, at_risk=False))
