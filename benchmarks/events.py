"""The events before cut-offs of a log, as `inference.training.gru` takes them."""

import numpy as np
from numpy.typing import NDArray

from inference.training.gru import EVENTS, KINDS, LOGIN, LOGOUT, SIGN_OUT, USE
from operators.signals import Sequence, sequence
from streams.risk.log import Cuts, Log, edges
from streams.risk.protocol import HOUR_MS

_MONDAY_HOURS = 72
"""The epoch began on a Thursday: its hour in a week that begins on Monday."""


def events_at(log: Log, cuts: Cuts) -> NDArray[np.float32]:
    """The last events of each cut, shape [rows, 2 × `EVENTS` + 1]; of uses alike in an hour the first one."""
    kept = _kept(log)
    begin, end = edges(kept, cuts)
    at = end[:, None] + np.arange(-EVENTS, 0)
    is_event = at >= begin[:, None]
    what = np.where(is_event, _what(kept.sequence)[np.maximum(0, at)], 0)
    age_h = (cuts.as_of_ms[:, None] - kept.sequence.ts_ms[np.maximum(0, at)]) / HOUR_MS
    now_h = (cuts.as_of_ms / HOUR_MS + _MONDAY_HOURS) % (7 * 24)
    return np.column_stack([what, np.where(is_event, age_h, 0), now_h]).astype(np.float32)


def _what(events: Sequence) -> NDArray[np.int64]:
    is_login = events.kind == sequence.LOGIN
    by_login = np.isin(events.feature, np.unique(events.feature[is_login]))
    logout = np.where(by_login, SIGN_OUT, LOGOUT)
    use = np.minimum(USE + 1 + events.feature, KINDS - 1)  # without a feature: `USE`
    return np.where(is_login, LOGIN, np.where(events.kind == sequence.LOGOUT, logout, use))


def _kept(log: Log) -> Log:
    """The log without uses that have a like one before them in their hour."""
    events, user = log.sequence, log.user
    columns = (events.ts_ms, events.feature, events.kind, events.ts_ms // HOUR_MS, user)
    order = np.lexsort(columns)
    repeats = np.zeros(len(order), dtype=np.bool_)
    repeats[order[1:]] = np.all([np.diff(column[order]) == 0 for column in columns[1:]], axis=0)
    kept = ~(repeats & (events.kind == sequence.USAGE))
    begin = np.searchsorted(user[kept], np.arange(len(log.users) + 1))
    return Log(log.users, begin, Sequence(*(column[kept] for column in events[:6])))
