"""What the rules promise, asked of the records alone: neither gate is trusted here."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from operators.experiment import held_out
from schemas.decision import AGAIN, Crossing, Decision
from schemas.events import Account, Event
from schemas.policy import Policy, QuietHours, RuleBook
from schemas.vocabulary import HeldBy, Outcome, Tier


def zone(stated: str | None, policy: Policy) -> ZoneInfo:
    known = [name for name in (stated, policy.time_zone) if name not in (None, "Mars/Olympus")]
    return ZoneInfo(known[0] if known else "UTC")


def account_of(key: str, events: Iterable[Event], at_ms: int) -> Account | None:
    before = [one for one in events if isinstance(one, Account) and one.key == key and one.ts < at_ms]
    return max(before, key=lambda one: (one.ts, one.event_id), default=None)


def speaks_at_night(at_ms: int, quiet: QuietHours, where: ZoneInfo) -> bool:
    now = datetime.fromtimestamp(at_ms / 1000, where)
    minutes = now.hour * 60 + now.minute
    begin, end = (int(text[:2]) * 60 + int(text[3:]) for text in (quiet.begin, quiet.end))
    return (minutes - begin) % 1440 < (end - begin) % 1440


def decided_at(one: Decision | Crossing) -> int:
    assert one.ruling is not None
    return one.ruling.standing.at


def is_sent(one: Decision | Crossing) -> bool:
    """A crossing on its topic will be sent, but in a dry run."""
    if isinstance(one, Decision):
        return one.outcome is Outcome.SENT
    return one.ruling is not None and one.ruling.held_by is None


def passes(policy: Policy, tier: Tier, rule: HeldBy) -> bool:
    return rule in policy.passes.get(tier, ())


def assert_kept(found: Iterable[Decision | Crossing], events: Collection[Event], book: RuleBook) -> None:
    """Nothing among `found` is sent against the rules."""
    sent = sorted((one for one in found if is_sent(one)), key=decided_at)
    for place, one in enumerate(sent):
        at_ms, key = decided_at(one), f"{one.tenant}/{one.user_id}"
        policy = book.at(at_ms).of(one.tenant)
        account = account_of(key, events, at_ms)
        assert account is None or account.consent, "the user had opted out"
        assert one.user_id not in policy.suppressed
        assert not held_out(policy, key)
        assert not policy.dry_run
        where = zone(None if account is None else account.time_zone, policy)
        if policy.quiet_hours is not None and not passes(policy, one.to_tier, HeldBy.QUIET_HOURS):
            assert not speaks_at_night(at_ms, policy.quiet_hours, where)
        if passes(policy, one.to_tier, HeldBy.FREQUENCY_CAP):
            continue
        today = datetime.fromtimestamp(at_ms / 1000, where).date()
        of_user = [before for before in sent[:place] if f"{before.tenant}/{before.user_id}" == key]
        days = [datetime.fromtimestamp(decided_at(before) / 1000, where).date() for before in of_user]
        for cap in policy.caps:
            assert sum(day > today - timedelta(days=cap.days) for day in days) < cap.scripts


def assert_one_version_each(found: dict[str, Decision | Crossing], book: RuleBook, until_ms: int) -> None:
    """Each is under the one version of its time, and what is put off is decided again, when it says."""
    for one in found.values():
        assert one.ruling is not None
        assert one.ruling.version == book.at(decided_at(one)).version
        again = found.get(one.id + AGAIN)
        held_by = one.held_by if isinstance(one, Decision) else one.ruling.held_by
        if held_by is not HeldBy.QUIET_HOURS:
            assert again is None
        elif one.ruling.allowed_at is not None and one.ruling.allowed_at <= until_ms:
            assert again is not None and decided_at(again) == one.ruling.allowed_at
