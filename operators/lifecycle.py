"""One user's life in the stream: the operator that turns active panes and passing time into crossings."""

import msgspec
from msgspec import Struct

from operators.forecast import forecast, percent_at
from operators.tier import next_tier, tier_of, usual_hours
from operators.window import Window, boundary_ms, pane_of, phase_ms
from schemas.decision import Crossing, decision_id
from schemas.events import Account, Login, Replay, Support, Usage
from schemas.vocabulary import Cause, HeldBy, Tier


class Settled(Struct, frozen=True):
    """A crossing and the rule that holds it back, if one does."""

    crossing: Crossing
    held_by: HeldBy | None


class UserState(Struct, frozen=True, array_like=True):
    """What is kept of one user.

    `window` is None while no active pane is known; `first` is the first active pane, `next` the
    pane of the forecast. `history_until` is the end (epoch ms) of the replay that the user's past
    came from, `compose` whether that replay asked for scripts.
    """

    window: Window | None = None
    first: int = 0
    tier: Tier | None = None
    next: int = 0
    account: Account | None = None
    history_until: int = -1
    compose: bool = False


class Lifecycle(Struct, frozen=True):
    """The operator of one user, whose key is `tenant/user_id`.

    `care_on_rise`: the user's tenant has a care script sent to who comes back to `very_low`.

    Feed it the events of the user with the watermark of their arrival, and wake it when event time
    reaches `due`: what it gives back is each crossing, once, in the order of event time.

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

    @staticmethod
    def start() -> UserState:
        """The state of a user of whom nothing is known."""
        return UserState()

    def step(
        self, state: UserState, event: Login | Usage | Support | Account, watermark_ms: int
    ) -> tuple[UserState, tuple[Settled, ...]]:
        """The state after `event`, which arrived when event time had reached `watermark_ms`.

        An event decides nothing by itself: what it changes shows at the boundaries to come.
        """
        state = _with_replay(state, event.replay)
        match event:
            case Account():
                newer = state.account is None or event.ts >= state.account.ts
                return (msgspec.structs.replace(state, account=event) if newer else state), ()
            case Login() | Usage():
                phase = phase_ms(self.key)
                settled = pane_of(watermark_ms + 1, phase) - 1
                return _marked(state, pane_of(event.ts, phase), settled), ()
            case _:
                return state, ()

    def due(self, state: UserState) -> int | None:
        """Event time (ms) of the next change if no event comes: the last ms before the boundary."""
        if state.window is None:
            return None
        return boundary_ms(state.next, phase_ms(self.key)) - 1

    def wake(self, state: UserState, now_ms: int) -> tuple[UserState, tuple[Settled, ...]]:
        """The state once event time has reached `now_ms`, and the crossings up to then."""
        crossings: list[Settled] = []
        while (due := self.due(state)) is not None and due <= now_ms:
            state, crossing = self._evaluate(state, due + 1)
            if crossing is not None:
                crossings.append(Settled(crossing, self._held_by(state, crossing)))
        return state, tuple(crossings)

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
    return msgspec.structs.replace(state, next=forecast(state.window, state.first, state.tier))


def _forgotten(state: UserState, pane: int) -> UserState:
    """The user is forgotten as of `pane`; panes ahead of it, if any, begin a new onboarding."""
    assert state.window is not None  # only a window is ever evaluated
    window = state.window.at(pane)
    if not window.mask:
        return msgspec.structs.replace(state, window=None, tier=None)
    first = window.base + (window.mask & -window.mask).bit_length() - 1
    return _forecast(msgspec.structs.replace(state, window=window, first=first, tier=None))
