"""From a log of events to questions about churn with their answers, for the language model's own estimate.

The protocol is that of `streams.risk.protocol`, 72 h ahead. Users are split by hash, time by `TEST_SHARE`:
what is tested with is of users and of times that were never trained on, and no answer that was trained on
reaches into those times.
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from inference.estimate import NO, YES, question
from operators import encode, features
from operators.features import HOUR_MS, SPAN_MS, WEEK_MS
from operators.tier import PRIOR_PANES, usual_hours
from operators.window import WINDOW_PANES
from schemas.errors import InputError
from schemas.events import Event
from schemas.vocabulary import Locale
from streams.risk.protocol import HARD_DAYS, LEAD_H, marks

LEAD_MS = LEAD_H * HOUR_MS
TEST_SHARE = 0.3
NUMBERS = (
    "hours_seen_1d",
    "hours_seen_7d",
    "hours_seen_30d",
    "active_days_7d",
    "active_days_30d",
    "days_since_last_event",
    "logins_7d",
    "uses_7d",
    "sessions_7d",
)
"""The features whose numbers the question states, beside the sentences."""


class Question(NamedTuple):
    """A question about `user` as of `tau` (epoch ms), its answer, what it may be used for, and the features
    that it was made of."""

    user: str
    tau: int
    text: str
    answer: str
    is_test: bool
    is_hard: bool
    features: features.Features


def questions(events: Iterable[Event], *, train: int, test: int, seed: int = 7) -> Iterator[Question]:
    """At most `train` and `test` questions, drawn by `seed`, of the log `events`.

    Raises:
        InputError: the log has no tau with 33 whole days before and 30 after it.
    """
    of_user: dict[str, list[Event]] = {}
    for event in events:
        of_user.setdefault(event.user_id, []).append(event)
    for known in of_user.values():
        known.sort(key=lambda event: event.ts)
    times = {user: np.array([event.ts for event in known]) for user, known in of_user.items()}
    if not times:
        raise InputError("the log holds no events")
    taus = whole_weeks(np.concatenate(list(times.values())))
    if not taus:
        raise InputError("the log has no week with 33 whole days before it and 30 after it")
    cut = taus[min(len(taus) - 1, int(len(taus) * (1 - TEST_SHARE)))]
    rows = [
        (user, tau)
        for user in sorted(times)
        for tau in taus
        if (tau >= cut) is is_test_user(user)
        and (tau >= cut or tau + SPAN_MS <= cut)
        and _between(times[user], tau - LEAD_MS - SPAN_MS, tau - LEAD_MS).any()
    ]
    random = np.random.default_rng(seed)
    for is_test, wanted in ((False, train), (True, test)):
        kept = [row for row in rows if is_test_user(row[0]) is is_test]
        for at in random.permutation(len(kept))[:wanted].tolist():
            user, tau = kept[at]
            yield _question(user, tau, of_user[user], times[user], is_test)


def whole_weeks(ts_ms: NDArray[np.int64]) -> list[int]:
    """The taus, a week apart, around which the log is whole."""
    tau_ms, whole = marks(ts_ms)
    weeks: list[int] = tau_ms[whole].tolist()
    return weeks


def is_test_user(user: str) -> bool:
    """Whether a user is kept from the training, whatever the log."""
    return blake2b(user.encode(), digest_size=1).digest()[0] < 256 * TEST_SHARE


def _between(ts_ms: NDArray[np.int64], after_ms: int, until_ms: int) -> NDArray[np.int64]:
    """The times in (after, until]; `ts_ms` is sorted."""
    return ts_ms[slice(*np.searchsorted(ts_ms, (after_ms, until_ms), side="right"))]


def _question(user: str, tau: int, events: list[Event], ts_ms: NDArray[np.int64], is_test: bool) -> Question:
    as_of_ms = tau - LEAD_MS + 1
    low, high = np.searchsorted(ts_ms, (tau - LEAD_MS - SPAN_MS, tau - LEAD_MS), side="right").tolist()
    ages = as_of_ms - ts_ms[low:high]
    recent, all_hours = (len(np.unique((ages[ages <= span] - 1) // HOUR_MS)) for span in (WEEK_MS, SPAN_MS))
    prior = min(all_hours - recent, PRIOR_PANES)
    found = features.compute(
        events[low:high],
        account=None,
        as_of_ms=as_of_ms,
        recent=recent,
        prior=prior,
        usual=usual_hours(prior, WINDOW_PANES),
    )
    numbers = {name: float(getattr(found, name) or 0) for name in NUMBERS}
    return Question(
        user=user,
        tau=tau,
        text=question(encode.sentences(found, Locale.EN, found.favourite_feature), numbers),
        answer=NO if _between(ts_ms, tau, tau + SPAN_MS).size else YES,
        is_test=is_test,
        is_hard=found.active_days_30d >= HARD_DAYS and recent > 0,
        features=found,
    )
