"""The batch's own gate: what the rules say of each crossing of a user, in the order of the times of decision.

Like `streams.batch` it is written from docs/semantics.md and shares no code with the stream: the user's whole
life lies before it, and it looks things up there that the stream has to remember. Days and nights are found
by looking at the user's clock minute after minute.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from heapq import heapify, heappop, heappush
from itertools import accumulate, count
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import msgspec
from msgspec import Struct

from schemas.decision import AGAIN, Assignment, Crossing, Ruling, Standing
from schemas.events import Account, Replay
from schemas.policy import Cap, Experiment, Policy, QuietHours, RuleBook, Rules, Treatment
from schemas.vocabulary import Cause, HeldBy, Locale, Tier
from streams.tenants import Tenants

MINUTE_MS, DAY_MS = 60_000, 86_400_000
LOOKED_BACK_MS = 32 * DAY_MS
_COUNTED = (None, HeldBy.HOLDOUT, HeldBy.EXPERIMENT, HeldBy.DRY_RUN)


class Life(Struct, frozen=True, kw_only=True):
    """All that is known of a user, in the order of time.

    `tiers` holds when (epoch ms) the user's tier became which; `counted` are the times (epoch ms) of scripts
    that caps count and that no crossing of these led to. `phase_ms` is that of the user's panes.
    """

    key: str
    phase_ms: int
    crossings: Sequence[Crossing]
    tiers: Sequence[tuple[int, Tier | None]]
    accounts: Sequence[Account]
    replay: Replay | None
    counted: Sequence[int] = ()
    care_on_rise: bool = False


def decide(life: Life, book: RuleBook, until_ms: int) -> Iterator[Crossing]:
    """Each crossing of a user with its ruling, and again where it was put off, up to `until_ms`."""
    turn, sent = count(), sorted(life.counted)
    # At equal times a boundary comes before what was put off, and that in the order of its putting off.
    coming = [(crossing.at, False, next(turn), crossing) for crossing in life.crossings]
    heapify(coming)
    while coming and coming[0][0] <= until_ms:
        at, is_again, _, crossing = heappop(coming)
        earlier = [account for account in life.accounts if account.ts < at]
        account = max(earlier, key=lambda one: (one.ts, one.event_id), default=None)
        standing = _standing(life, crossing, at, is_again, sent, account)
        ruling = _ruling(_version(book, at), crossing, standing, life)
        yield msgspec.structs.replace(crossing, account=account, ruling=ruling)
        if ruling.held_by in _COUNTED:
            sent.append(at)
        if ruling.held_by is HeldBy.QUIET_HOURS:
            assert ruling.allowed_at is not None  # quiet hours end
            later = msgspec.structs.replace(crossing, id=crossing.id + AGAIN)
            heappush(coming, (ruling.allowed_at, True, next(turn), later))


def _version(book: RuleBook, at: int) -> Rules:
    begun = [rules for rules in book.versions if rules.since <= at]
    return max(begun, key=lambda rules: (rules.since, rules.version), default=Rules(version=""))


def within_budget(crossings: Iterable[Crossing], book: RuleBook, tenants: Tenants) -> Iterator[Crossing]:
    """The crossings of all users in the order of decision, as the tenants' offers of a day leave them."""
    days: dict[str, date] = {}
    made: Counter[tuple[str, date]] = Counter()
    for crossing in sorted(crossings, key=lambda one: (one.decided_at, one.id)):
        tenant, ruling, account = crossing.tenant, crossing.ruling, crossing.account
        assert ruling is not None  # the other rules have been asked
        rules = _version(book, crossing.decided_at)
        policy = rules.tenants.get(tenant, rules.default)
        locale = Locale.of(account.locale if account else None)
        offer = tenants.of(tenant).offer(crossing.strategy, locale, ruling.treatment.offer)
        if policy.offers_per_day is None or ruling.held_by not in (None, HeldBy.DRY_RUN) or offer is None:
            yield crossing
            continue
        where = _zone(None, policy.time_zone)
        day = days[tenant] = max(_day(crossing.decided_at, where), days.get(tenant, date.min))
        changes: dict[str, Any] = {"offers_before": made[tenant, day]}
        if made[tenant, day] >= policy.offers_per_day:
            changes["held_by"] = HeldBy.OFFER_BUDGET
            changes["allowed_at"] = _begins(day + timedelta(days=1), where)[0]
        else:
            made[tenant, day] += 1
        yield msgspec.structs.replace(crossing, ruling=msgspec.structs.replace(ruling, **changes))


def _standing(
    life: Life, crossing: Crossing, at: int, is_again: bool, sent: Sequence[int], account: Account | None
) -> Standing:
    """The user at the time of decision."""
    stated: dict[str, Any] = {}
    if account is not None:
        stated = {"consent": account.consent, "plan": account.plan, "time_zone": account.time_zone}
    # A rise does not look back at itself, but does when it was put off.
    rises = [one.at for one in life.crossings if one.cause is Cause.RISE]
    rises = [rise for rise in rises if rise < at or (is_again and rise == at)]
    replay = life.replay
    return Standing(
        at=at,
        tier=[tier for since, tier in life.tiers if since <= at][-1],
        sent=tuple(time for time in sent if time > at - LOOKED_BACK_MS),
        rose_at=max(rises, default=None),
        in_replay=replay is not None and at <= replay.until and not replay.compose,
        cared_for=life.care_on_rise and crossing.to_tier is Tier.VERY_LOW,
        **stated,
    )


def _ruling(rules: Rules, crossing: Crossing, standing: Standing, life: Life) -> Ruling:
    policy = rules.tenants.get(crossing.tenant, rules.default)
    assigned, treatment = _arms(policy, crossing, standing.plan)
    no = {
        rule: allowed_at
        for rule, (says_no, allowed_at) in _table(policy, crossing, standing, life.phase_ms).items()
        if says_no
    }
    passes = policy.passes.get(crossing.to_tier, ())
    held_by = next((rule for rule in no if rule not in passes), None)
    asked = list(no)[: len(no) if held_by is None else list(no).index(held_by)]
    allowed_at = None if held_by is None else no[held_by]
    if held_by is None:
        compares = {
            HeldBy.HOLDOUT: _place("holdout", life.key) < policy.holdout,
            HeldBy.EXPERIMENT: treatment.hold,
            HeldBy.DRY_RUN: policy.dry_run,
        }
        held_by = next((rule for rule, says_no in compares.items() if says_no), None)
    return Ruling(
        version=rules.version,
        standing=standing,
        held_by=held_by,
        allowed_at=allowed_at,
        passed=tuple(asked),
        assigned=assigned,
        treatment=treatment,
    )


def _table(
    policy: Policy, crossing: Crossing, standing: Standing, phase_ms: int
) -> dict[HeldBy, tuple[bool, int | None]]:
    """The table of docs/semantics.md down to the quiet hours: whether each rule says no, and until when."""
    at, is_rise = standing.at, crossing.cause is Cause.RISE
    where = _zone(standing.time_zone, policy.time_zone)
    cool_ms = None if standing.rose_at is None else standing.rose_at + policy.cooldown_days * DAY_MS
    cools = cool_ms is not None and at < cool_ms and not is_rise
    is_capped = any(_full(cap, _day(at, where), standing.sent, where) for cap in policy.caps)
    is_quiet = policy.quiet_hours is not None and _is_quiet(at, policy.quiet_hours, where)
    return {
        HeldBy.REPLAY: (standing.in_replay, None),
        HeldBy.CONSENT: (not standing.consent, None),
        HeldBy.SUPPRESSION: (crossing.user_id in policy.suppressed, None),
        HeldBy.RISE: (is_rise and not standing.cared_for, None),
        HeldBy.SUPERSEDED: (crossing.id.endswith(AGAIN) and standing.tier is not crossing.to_tier, None),
        HeldBy.COOLDOWN: (cools, cool_ms),
        HeldBy.FREQUENCY_CAP: (is_capped, _not_full_at(policy, at, standing.sent, where)),
        HeldBy.QUIET_HOURS: (is_quiet, _loud_at(policy.quiet_hours, at, where) + phase_ms // 60),
    }


# ---- the user's clock and calendar ----


@lru_cache
def _zone(name: str | None, of_tenant: str) -> ZoneInfo:
    known = available_timezones()
    return ZoneInfo(next((one for one in (name, of_tenant) if one is not None and one in known), "UTC"))


def _clock(at_ms: int, where: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(where)


def _day(at_ms: int, where: ZoneInfo) -> date:
    return _clock(at_ms, where).date()


def _full(cap: Cap, day: date, sent: Sequence[int], where: ZoneInfo) -> bool:
    oldest = day - timedelta(days=cap.days - 1)
    return len([time for time in sent if _day(time, where) >= oldest]) >= cap.scripts


def _not_full_at(policy: Policy, at: int, sent: Sequence[int], where: ZoneInfo) -> int | None:
    """The first midnight at which none of the caps holds; none where there is never one."""
    if any(cap.scripts == 0 for cap in policy.caps):
        return None
    day = _day(at, where) + timedelta(days=1)
    while any(_full(cap, day, sent, where) for cap in policy.caps):
        day += timedelta(days=1)
    return next(begin for begin in _begins(day, where) if begin > at)


@lru_cache
def _begins(day: date, where: ZoneInfo) -> tuple[int, ...]:
    """When (epoch ms) the clock goes from an earlier day to `day` or, where it skips that, to a later one.

    Twice where it is put back from just after midnight to just before.
    """
    around = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
    minutes = range(around - 2 * DAY_MS, around + 2 * DAY_MS, MINUTE_MS)
    return tuple(
        minute for minute in minutes if _day(minute, where) >= day and _day(minute - MINUTE_MS, where) < day
    )


def _is_quiet(at_ms: int, quiet: QuietHours, where: ZoneInfo) -> bool:
    now, begin, end = f"{_clock(at_ms, where):%H:%M}", quiet.begin, quiet.end
    return begin <= now < end if begin < end else not end <= now < begin


def _loud_at(quiet: QuietHours | None, at: int, where: ZoneInfo) -> int:
    """The beginning of the first minute of the user's clock that is not quiet."""
    minute = at - at % 1000 - _clock(at, where).second * 1000
    while quiet is not None and _is_quiet(minute, quiet, where):
        minute += MINUTE_MS
    return minute


# ---- chance ----


def _place(salt: str, unit: str) -> float:
    bits = int(blake2b(f"{salt}\n{unit}".encode(), digest_size=8).hexdigest(), 16)
    return (bits >> 11) / 2**53


def _arms(policy: Policy, crossing: Crossing, plan: str) -> tuple[tuple[Assignment, ...], Treatment]:
    """The arms of the experiments that the user is in, and their treatments added up."""
    assigned, treatment = [], Treatment()
    for experiment in policy.experiments:
        place = _place(f"layer {experiment.layer}", crossing.key)
        is_for = not experiment.tiers or crossing.to_tier in experiment.tiers
        if not is_for or place < experiment.begin or place >= experiment.end:
            continue
        weights = _weights(experiment, crossing.to_tier, plan)
        unit = crossing.id.split(AGAIN)[0] if experiment.per_decision else crossing.key
        place = _place(f"experiment {experiment.name}", unit)
        reached = [number for number, upto in enumerate(accumulate(weights)) if place < upto]
        possible = [number for number, weight in enumerate(weights) if weight > 0]
        number = next((number for number in reached if number in possible), possible[-1])
        arm = experiment.arms[number]
        assigned.append(Assignment(experiment=experiment.name, arm=arm.name, propensity=weights[number]))
        of_arm = arm.treatment
        treatment = Treatment(
            hold=treatment.hold or of_arm.hold,
            rung=treatment.rung if of_arm.rung is None else of_arm.rung,
            strategy=treatment.strategy if of_arm.strategy is None else of_arm.strategy,
            offer=treatment.offer if of_arm.offer is None else of_arm.offer,
        )
    return tuple(assigned), treatment


def _weights(experiment: Experiment, tier: Tier, plan: str) -> Sequence[float]:
    for context in (f"{tier}/{plan}", f"{tier}"):
        if context in experiment.by_context:
            return experiment.by_context[context]
    return [arm.weight for arm in experiment.arms]
