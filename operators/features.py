"""What a user's last 30 days come to, in numbers: the sequence of events reduced to features.

A day is 24 hours counted back from `as_of_ms` and an hour is one of 3,600,000 ms counted back from
it, so that at a pane boundary hours are the user's own panes. The week before is days 8 to 14.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any

from msgspec import Meta, Struct

from operators.distinct import distinct
from schemas.events import Account, Event, Login, Support, Usage
from schemas.vocabulary import Reason

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WEEK_MS = 7 * DAY_MS
SPAN_MS = 30 * DAY_MS
SESSION_GAP_MS = 30 * 60_000
"""A pause longer than this ends a session."""

WEEKS_BEFORE = 23 / 7
"""The weeks of the 23 days before the last seven."""
FAVOURITE_USES = 5
"""A feature used less often than this, in the 23 days before the last seven, is nobody's favourite."""
MANY_ERRORS, HIGH_ERROR_RATE = 3, 0.2
MANY_MESSAGES = 2
CLEAR_DROP = 0.6
"""A week at or below this share of the user's usual week has dropped."""


def _about(unit: str, meaning: str, least: float = 0) -> Meta:
    return Meta(description=meaning, ge=least, extra={"unit": unit})


class Features(Struct, frozen=True, kw_only=True):
    """The features of one user as of one time. Each field's `Meta` gives its unit and meaning."""

    active_hours_7d: Annotated[int, _about("panes", "active panes in 7 days, as the tier counted them")]
    active_hours_prior: Annotated[int, _about("panes", "active panes in the 23 days before, likewise")]
    usual_hours: Annotated[float, _about("panes a week", "the user's own usual active panes a week")]
    activity: Annotated[float, _about("share", "active panes in 7 days against the usual, at most 1")]

    hours_seen_1d: Annotated[int, _about("hours", "hours with a login or usage in the last day")]
    hours_seen_7d: Annotated[int, _about("hours", "the same in 7 days")]
    hours_seen_week_before: Annotated[int, _about("hours", "the same in the week before")]
    hours_seen_30d: Annotated[int, _about("hours", "the same in 30 days")]
    active_days_7d: Annotated[int, _about("days", "days with a login or usage in 7 days")]
    active_days_week_before: Annotated[int, _about("days", "the same in the week before")]
    active_days_30d: Annotated[int, _about("days", "the same in 30 days")]
    days_since_last_event: Annotated[float, _about("days", "since the last login or usage")] | None

    logins_1d: Annotated[int, _about("logins", "logins in the last day")]
    logins_3d: Annotated[int, _about("logins", "logins in 3 days")]
    logins_7d: Annotated[int, _about("logins", "logins in 7 days")]
    logins_14d: Annotated[int, _about("logins", "logins in 14 days")]
    logins_30d: Annotated[int, _about("logins", "logins in 30 days")]
    logins_week_before: Annotated[int, _about("logins", "logins in the week before")]
    usual_logins: Annotated[float, _about("logins a week", "mean of the 23 days before the last 7")]

    uses_7d: Annotated[int, _about("uses", "features used in 7 days, each use counted")]
    uses_week_before: Annotated[int, _about("uses", "the same in the week before")]
    usual_uses: Annotated[float, _about("uses a week", "mean of the 23 days before the last 7")]
    minutes_7d: Annotated[float, _about("minutes", "duration of the uses in 7 days")]
    features_7d: Annotated[int, _about("features", "different features used in 7 days")]
    features_30d: Annotated[int, _about("features", "different features used in 30 days")]
    sessions_7d: Annotated[int, _about("sessions", "runs of events with pauses of 30 min at most, in 7 days")]
    sessions_week_before: Annotated[int, _about("sessions", "the same in the week before")]

    favourite_feature: Annotated[str, Meta(description="the feature used most in 30 days")] | None
    favourite_uses_7d: Annotated[int, _about("uses", "its uses in 7 days")]
    favourite_lost: Annotated[bool, Meta(description="it was used often before, and not in 7 days")]

    errors_7d: Annotated[int, _about("uses", "uses that failed in 7 days")]
    error_rate_7d: Annotated[float, _about("share", "failed uses of all uses in 7 days")]
    error_rate_before: Annotated[float, _about("share", "the same in the 23 days before")]
    support_messages_7d: Annotated[int, _about("messages", "messages to customer service in 7 days")]
    support_messages_30d: Annotated[int, _about("messages", "the same in 30 days")]

    tenure_days: Annotated[int, _about("days", "age of the account, as its tenant states it")] | None
    seats: Annotated[int, _about("seats", "seats of the account", 1)] | None

    @property
    def sequence_is_whole(self) -> bool:
        """Whether the events account for the activity that the tier was counted from.

        They do not while the store that they came from is empty or behind: what they say about
        the last days is then not fit to be told to anyone.
        """
        return self.hours_seen_7d >= self.active_hours_7d


def compute(
    events: Iterable[Event], *, account: Account | None, as_of_ms: int, recent: int, prior: int, usual: float
) -> Features:
    """The features as of `as_of_ms` (epoch ms, itself not included).

    `events` may be in any order and hold copies; what lies outside the 30 days is left out.
    `recent`, `prior` and `usual` are the crossing's. For a decline or a rise `as_of_ms` is the
    crossing's `at`; for a risk crossing it is `at + 1`, so that its event counts.

    >>> logins = [Login(event_id=f"e{d}", tenant="acme", user_id="u1", ts=d * DAY_MS) for d in range(25)]
    >>> as_of = {"account": None, "as_of_ms": 30 * DAY_MS, "recent": 2, "prior": 23, "usual": 7.0}
    >>> features = compute(logins, **as_of)
    >>> features.logins_7d, features.logins_week_before, features.usual_logins, features.days_since_last_event
    (2, 7, 7.0, 6.0)
    >>> features == compute([*logins, logins[3]][::-1], **as_of)
    True
    >>> reason_of(features)
    <Reason.LOGIN_DROP: 'login_drop'>
    """
    known = distinct(event for event in events if 0 < as_of_ms - event.ts <= SPAN_MS)
    logins = [as_of_ms - e.ts for e in known if isinstance(e, Login) and e.action == "login"]
    active = [as_of_ms - e.ts for e in known if isinstance(e, Login | Usage)]
    support = [as_of_ms - e.ts for e in known if isinstance(e, Support)]
    uses = [(as_of_ms - e.ts, e) for e in known if isinstance(e, Usage)]
    use_ages = [age for age, _ in uses]
    last_week = [use for age, use in uses if age <= WEEK_MS]
    before = [use for age, use in uses if age > WEEK_MS]
    session_ages = _session_ages(active)
    return Features(
        active_hours_7d=recent,
        active_hours_prior=prior,
        usual_hours=usual,
        activity=min(1.0, recent / usual),
        hours_seen_1d=_spans(active, HOUR_MS, 0, DAY_MS),
        hours_seen_7d=_spans(active, HOUR_MS, 0, WEEK_MS),
        hours_seen_week_before=_spans(active, HOUR_MS, WEEK_MS, 2 * WEEK_MS),
        hours_seen_30d=_spans(active, HOUR_MS, 0, SPAN_MS),
        active_days_7d=_spans(active, DAY_MS, 0, WEEK_MS),
        active_days_week_before=_spans(active, DAY_MS, WEEK_MS, 2 * WEEK_MS),
        active_days_30d=_spans(active, DAY_MS, 0, SPAN_MS),
        days_since_last_event=min(active) / DAY_MS if active else None,
        logins_1d=_count(logins, 0, DAY_MS),
        logins_3d=_count(logins, 0, 3 * DAY_MS),
        logins_7d=_count(logins, 0, WEEK_MS),
        logins_14d=_count(logins, 0, 2 * WEEK_MS),
        logins_30d=len(logins),
        logins_week_before=_count(logins, WEEK_MS, 2 * WEEK_MS),
        usual_logins=_count(logins, WEEK_MS, SPAN_MS) / WEEKS_BEFORE,
        uses_7d=len(last_week),
        uses_week_before=_count(use_ages, WEEK_MS, 2 * WEEK_MS),
        usual_uses=len(before) / WEEKS_BEFORE,
        minutes_7d=sum(use.duration_ms for use in last_week) / 60_000,
        features_7d=len({use.feature for use in last_week}),
        features_30d=len({use.feature for _, use in uses}),
        sessions_7d=_count(session_ages, 0, WEEK_MS),
        sessions_week_before=_count(session_ages, WEEK_MS, 2 * WEEK_MS),
        **_favourite(last_week, before),
        errors_7d=_errors(last_week),
        error_rate_7d=_errors(last_week) / max(1, len(last_week)),
        error_rate_before=_errors(before) / max(1, len(before)),
        support_messages_7d=_count(support, 0, WEEK_MS),
        support_messages_30d=len(support),
        tenure_days=None if account is None else account.tenure_days,
        seats=None if account is None else account.seats,
    )


def reason_of(features: Features) -> Reason:
    """The user's own main reason: what went wrong for them before what they merely do less.

    Where the sequence is missing, only the crossing's own counts are judged.
    """
    if features.sequence_is_whole:
        if features.errors_7d >= MANY_ERRORS and features.error_rate_7d >= HIGH_ERROR_RATE:
            return Reason.ERRORS
        if features.support_messages_7d >= MANY_MESSAGES:
            return Reason.SUPPORT
    if features.active_hours_7d == 0:
        return Reason.INACTIVE
    if features.sequence_is_whole:
        if features.favourite_lost:
            return Reason.FEATURE_LOSS
        logins = _share(features.logins_7d, features.usual_logins)
        uses = _share(features.uses_7d, features.usual_uses)
        if logins <= min(CLEAR_DROP, uses):
            return Reason.LOGIN_DROP
        if uses <= CLEAR_DROP:
            return Reason.USAGE_DROP
    return Reason.USAGE_DROP if features.activity <= CLEAR_DROP else Reason.STEADY


def _count(ages_ms: list[int], after_ms: int, until_ms: int) -> int:
    """How many ages lie in (after, until]."""
    return sum(1 for age in ages_ms if after_ms < age <= until_ms)


def _spans(ages_ms: list[int], span_ms: int, after_ms: int, until_ms: int) -> int:
    """How many spans of `span_ms`, counted back, hold one of the ages in (after, until]."""
    return len({(age - 1) // span_ms for age in ages_ms if after_ms < age <= until_ms})


def _session_ages(ages_ms: list[int]) -> list[int]:
    """The age of each session's beginning."""
    ordered = sorted(ages_ms, reverse=True)
    pairs = zip([None, *ordered], ordered, strict=False)
    return [age for earlier, age in pairs if earlier is None or earlier - age > SESSION_GAP_MS]


def _errors(uses: list[Usage]) -> int:
    return sum(1 for use in uses if use.outcome == "error")


def _favourite(last_week: list[Usage], before: list[Usage]) -> dict[str, Any]:
    """The feature used most; the first by name of those used alike."""
    recent, earlier = Counter(use.feature for use in last_week), Counter(use.feature for use in before)
    total = recent + earlier
    if not total:
        return {"favourite_feature": None, "favourite_uses_7d": 0, "favourite_lost": False}
    name = min(total, key=lambda feature: (-total[feature], feature))
    return {
        "favourite_feature": name,
        "favourite_uses_7d": recent[name],
        "favourite_lost": earlier[name] >= FAVOURITE_USES and recent[name] == 0,
    }


def _share(now: int, usual: float) -> float:
    """This week against the usual one. Where less than one a week is usual, nothing can drop."""
    return now / usual if usual >= 1 else 1.0
