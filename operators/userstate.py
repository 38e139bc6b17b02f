"""What is kept of one user, and how it changes: the state of the operator in `operators.lifecycle`."""

import msgspec
from msgspec import Struct

from operators.forecast import forecast
from operators.policy import SENT_MS
from operators.window import Window
from schemas.decision import Crossing, Draft
from schemas.events import Account, Replay
from schemas.vocabulary import Tier


class Waiting(Struct, frozen=True, array_like=True):
    """A crossing that was put off until `at` (epoch ms, event time), and the script that is written
    meanwhile.
    """

    crossing: Crossing
    at: int
    asked_at: int | None = None
    draft: Draft | None = None


class UserState(Struct, frozen=True, array_like=True):
    """What is kept of one user.

    `window` is None while no active pane is known; `first` is the first active pane, `next` the pane of the
    forecast. `accounts` holds the newest account event that event time has passed, and those ahead of it.
    `history_until` is the end (epoch ms) of the replay that the user's past came from, `compose` whether that
    replay asked for scripts. `asked_at` is the event time (ms) at which a script was asked for ahead of the
    forecast, `draft` the one that came. `at_risk` holds from a risk crossing until the probability has
    fallen; `assessed` is the time (ms) and id of the event that was assessed last. `sent` and `rose_at` are
    what the rules look back at, `waiting` what they put off.
    """

    window: Window | None = None
    first: int = 0
    tier: Tier | None = None
    next: int = 0
    accounts: tuple[Account, ...] = ()
    history_until: int = -1
    compose: bool = False
    asked_at: int | None = None
    draft: Draft | None = None
    at_risk: bool = False
    assessed: tuple[int, str] = (-1, "")
    sent: tuple[int, ...] = ()
    rose_at: int | None = None
    waiting: tuple[Waiting, ...] = ()

    def account(self, before_ms: int) -> Account | None:
        """The account as of `before_ms`: its newest event of an earlier time.

        >>> known = [Account(event_id=f"a{ts}", tenant="acme", user_id="u1", ts=ts) for ts in (5, 7)]
        >>> state = UserState(accounts=tuple(known))
        >>> [None if (found := state.account(ms)) is None else found.ts for ms in (5, 6, 7, 8)]
        [None, 5, 5, 7]
        """
        return next((one for one in reversed(self.accounts) if one.ts < before_ms), None)


def with_account(state: UserState, event: Account, watermark_ms: int) -> UserState:
    """The state when `event` has come: it holds from its own time on, in whichever order such events come."""
    if event in state.accounts:
        return state
    known = sorted((*state.accounts, event), key=lambda one: (one.ts, one.event_id))
    passed = [one for one in known if one.ts <= watermark_ms]
    kept = tuple(known[max(0, len(passed) - 1) :])
    return state if kept == state.accounts else stale(msgspec.structs.replace(state, accounts=kept))


def with_sent(state: UserState, at_ms: int) -> UserState:
    """The state when a script was sent at `at_ms`; what is too long ago for every rule is dropped."""
    recent = (sent for sent in state.sent if sent > at_ms - SENT_MS)
    return msgspec.structs.replace(state, sent=(*recent, at_ms))


def with_replay(state: UserState, replay: Replay | None) -> UserState:
    """The state when a record of `replay`, if it is one, has come.

    Of several replays the one that ends last counts, and of two that end alike the one that sends nothing: in
    whichever order their records come.
    """
    if replay is None or (replay.until, not replay.compose) <= (state.history_until, not state.compose):
        return state
    return msgspec.structs.replace(state, history_until=replay.until, compose=replay.compose)


def marked(state: UserState, pane: int, settled: int) -> UserState:
    """The state with `pane` active, when every boundary up to pane `settled` has been evaluated."""
    window, first = state.window, min(state.first, pane)
    if window is None:
        window, first = Window(max(settled, pane - 1)), pane
    elif state.tier is None and settled < pane <= window.done:
        # Topics are read at different speeds: before the first tier, an earlier pane may still come.
        window = window.at(pane - 1)
    elif window.done < settled < state.next:
        window = window.at(settled)
    after = window.mark(pane)
    if after is window:
        return state
    return with_forecast(msgspec.structs.replace(state, window=after, first=first))


def with_forecast(state: UserState) -> UserState:
    """The state with the forecast of its window."""
    assert state.window is not None  # the callers have just set it
    return stale(msgspec.structs.replace(state, next=forecast(state.window, state.first, state.tier)))


def stale(state: UserState) -> UserState:
    """What was written ahead, or asked for, was of other facts than those that hold now."""
    if state.asked_at is None and all(one.asked_at is None for one in state.waiting):
        return state
    waiting = tuple(Waiting(one.crossing, one.at) for one in state.waiting)
    return msgspec.structs.replace(state, asked_at=None, draft=None, waiting=waiting)


def forgotten(state: UserState, pane: int) -> UserState:
    """The user is forgotten as of `pane`; panes ahead of it, if any, begin a new onboarding."""
    assert state.window is not None  # only a window is ever evaluated
    window = state.window.at(pane)
    if not window.mask:
        return msgspec.structs.replace(state, window=None, tier=None, at_risk=False)
    first = window.base + (window.mask & -window.mask).bit_length() - 1
    return with_forecast(msgspec.structs.replace(state, window=window, first=first, tier=None, at_risk=False))
