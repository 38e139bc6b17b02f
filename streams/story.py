"""A decision's whole story: what led to it, what came of it, and whether its recorded inputs give it again.

Everything here is a function of records; who finds them is `streams.gathering`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from operators import guard, templates
from operators.budget import Spent, spend
from operators.calendar import day_of, zone
from operators.policy import ORDER, rule
from operators.render import render, tidy
from operators.tier import activity, next_tier, usual_hours
from operators.window import PANE_MS, RECENT_PANES, WINDOW_PANES, pane_of, phase_ms
from schemas.decision import AGAIN, Crossing, Decision, Draft, DraftRequest, Ruling, Script, decision_id
from schemas.errors import GuardFailed
from schemas.events import Account, Event, Login, Support, Usage
from schemas.examples import Example
from schemas.outcome import UserOutcome
from schemas.policy import RuleBook, Rules
from schemas.profile import Profile
from schemas.risk import Risk
from schemas.tenant import Tenant
from schemas.vocabulary import Cause, HeldBy, Rung
from streams.checks import Check, Verdict, equal, unchecked
from streams.remaking import Models, assessed, rewritten
from streams.tenants import Tenants
from streams.truth import untrue

TELLING = 10
"""How many of the events that tell more than activity are shown, the last ones."""


class Seen(Struct, frozen=True, kw_only=True):
    """The user's events of the 30 days before a crossing, and which store they were read from.

    `recent` and `prior` are the active panes that they give; `telling` are the messages, account changes and
    errors among them, the last ones.
    """

    source: Literal["redis", "topics"]
    kinds: dict[str, int]
    recent: int
    prior: int
    telling: tuple[Event, ...]


class Dated(Struct, frozen=True, kw_only=True):
    """When (epoch ms, the broker's clock) each record of the story was appended; null where there is none."""

    request_ms: int | None = None
    draft_ms: int | None = None
    risk_ms: int | None = None
    crossing_ms: int | None = None
    decision_ms: int
    intervention_ms: int | None = None


class Story(Struct, frozen=True, kw_only=True):
    """All that was found of a decision. `others` are decisions on the same crossing, before it or again.

    `examples` are those that the model was shown; null where their version is no longer there.
    """

    decision: Decision
    appended: Dated
    copies: int = 1
    seen: Seen | None = None
    account: Account | None = None
    request: DraftRequest | None = None
    draft: Draft | None = None
    crossing: Crossing | None = None
    risk: Risk | None = None
    examples: tuple[Example, ...] | None = ()
    others: tuple[Decision, ...] = ()
    outcomes: tuple[UserOutcome, ...] = ()


def base_of(decision_id: str) -> str:
    """The id of the crossing's first decision.

    >>> base_of("62b2/again/again")
    '62b2'
    """
    while decision_id.endswith(AGAIN):
        decision_id = decision_id.removesuffix(AGAIN)
    return decision_id


def seen(events: Iterable[Event], decision: Decision, source: Literal["redis", "topics"]) -> Seen:
    """What `events` of the user show of the 30 days before the crossing; a risk's own event counts."""
    phase = phase_ms(f"{decision.tenant}/{decision.user_id}")
    end_ms = decision.at + (decision.cause is Cause.RISK)
    last = pane_of(end_ms - 1, phase)
    known = {
        (one.event_id, one.ts): one for one in events if end_ms - WINDOW_PANES * PANE_MS <= one.ts < end_ms
    }
    found = sorted(known.values(), key=lambda one: one.ts)
    panes = {pane_of(one.ts, phase) for one in found if isinstance(one, Login | Usage)}
    recent = sum(1 for pane in panes if pane > last - RECENT_PANES)
    telling = [one for one in found if _tells(one)]
    return Seen(
        source=source,
        kinds=dict(Counter(_kind(one) for one in found)),
        recent=recent,
        prior=sum(1 for pane in panes if pane > last - WINDOW_PANES) - recent,
        telling=tuple(telling[-TELLING:]),
    )


def _tells(event: Event) -> bool:
    return isinstance(event, Support | Account) or (isinstance(event, Usage) and event.outcome == "error")


def _kind(event: Event) -> str:
    return str(event.__struct_config__.tag)


def rerun(story: Story, book: RuleBook, tenants: Tenants, models: Models) -> list[Check]:
    """Every step of the decision that its records allow to be done again, in their order.

    `book` and `tenants` are the rules and the tenants' profiles as they are now, `models` are those on this
    machine.
    """
    decision = story.decision
    checks = [_id(story), *_counted(story), *_ruled(decision, book, story.account)]
    if decision.risk is not None:
        events = () if story.seen is None else story.seen.telling
        checks += assessed(decision.risk, story.risk, events, models)
    if decision.script is not None:
        checks += _written(story, decision.script, tenants.of(decision.tenant), models)
    return checks


def _id(story: Story) -> Check:
    decision = story.decision
    at: int | str = decision.at
    if decision.cause is Cause.RISK:
        if story.risk is None:
            return unchecked("id", "no record on risks has its event any more")
        at = story.risk.event_id
    again = decision_id(decision.tenant, decision.user_id, decision.cause, at)
    return equal("id", base_of(decision.id), again)


def _counted(story: Story) -> Iterator[Check]:
    decision = story.decision
    if story.seen is None:
        yield unchecked("recent and prior", "the user's events were not read")
    else:
        recorded, shown = (decision.recent, decision.prior), (story.seen.recent, story.seen.prior)
        if recorded == shown:
            yield equal("recent and prior", recorded, shown)
        else:
            yield unchecked(
                "recent and prior",
                f"{story.seen.source} shows {shown[0]} and {shown[1]}, recorded are {recorded[0]} and "
                f"{recorded[1]}: some events are no longer there, or came late",
            )
    if decision.tenure:
        yield equal("usual", decision.usual, usual_hours(decision.prior, decision.tenure))
    else:
        yield unchecked("usual", "the record has no tenure: it is of a version before it")
    yield equal("activity", decision.activity, activity(decision.recent, decision.usual))
    is_risk = decision.cause is Cause.RISK
    tier = decision.from_tier if is_risk else next_tier(decision.from_tier, decision.activity)
    yield equal("tier", str(decision.to_tier), str(tier))


def _ruled(decision: Decision, book: RuleBook, account: Account | None) -> Iterator[Check]:
    ruling = decision.ruling
    if ruling is None:
        yield unchecked("rules", "the record has no ruling: it is of a version before it")
        return
    standing = ruling.standing
    if account is None:
        yield unchecked("account", "no account event of before the decision was found")
    else:
        yield equal(
            "account",
            (standing.consent, standing.plan, standing.time_zone),
            (account.consent, account.plan, account.time_zone),
        )
    yield equal("version of the rules", ruling.version, book.at(standing.at).version)
    rules = next((one for one in (book.at(0), *book.versions) if one.version == ruling.version), None)
    if rules is None:
        yield unchecked("ruling", f"the topic rules has no version {ruling.version!r} any more")
        return
    again = _budgeted(rules, decision, ruling, rule(rules, crossing_of(decision), standing))
    yield _ruling("ruling", ruling, again, ("held_by", "allowed_at", "passed"))
    yield _ruling("arms", ruling, again, ("assigned", "treatment"))
    at_last = (ruling.held_by, HeldBy.GUARD) if ruling.is_worded else (ruling.held_by,)
    if decision.held_by in at_last:
        yield Check(what="outcome", verdict=Verdict.SAME)
    else:
        yield equal("outcome", decision.held_by, ruling.held_by)


def _budgeted(rules: Rules, decision: Decision, recorded: Ruling, again: Ruling) -> Ruling:
    """What the tenant's budget of offers makes of the ruling, given how many there had been that day."""
    if recorded.offers_before is None:
        return again
    policy = rules.of(decision.tenant)
    crossing = msgspec.structs.replace(crossing_of(decision), ruling=again)
    spent = Spent(day_of(crossing.decided_at, zone(policy.time_zone)), recorded.offers_before)
    return spend(spent, policy, crossing)[1].ruling or again


def _ruling(what: str, recorded: Ruling, again: Ruling, fields: Sequence[str]) -> Check:
    odd = [name for name in fields if getattr(recorded, name) != getattr(again, name)]
    if not odd:
        return Check(what=what, verdict=Verdict.SAME)
    told = [f"{name} recorded {getattr(recorded, name)}, again {getattr(again, name)}" for name in odd]
    return Check(what=what, verdict=Verdict.DIFFERS, why="; ".join(told))


def answers(ruling: Ruling) -> list[tuple[HeldBy, str]]:
    """The rules that were asked, in their order, and what each said; after a no none is asked any more."""
    said: list[tuple[HeldBy, str]] = []
    for one in ORDER:
        if one is ruling.held_by:
            return [*said, (one, "no")]
        said.append((one, "no, which the tier may pass" if one in ruling.passed else "yes"))
    return said


def crossing_of(decision: Decision) -> Crossing:
    """The crossing that `decision` is on, as far as rules see it."""
    return Crossing(
        **{name: getattr(decision, name) for name in Crossing.__struct_fields__ if name in _SHARED},
    )


_SHARED = set(Decision.__struct_fields__) - {"ruling"}


def _written(story: Story, script: Script, tenant: Tenant, models: Models) -> Iterator[Check]:
    decision, draft = story.decision, story.draft
    is_ahead = "model" not in decision.timing.steps  # nobody composed it at the crossing
    if is_ahead and draft is None:
        yield unchecked("rung", "the topic drafts has this draft no longer")
    else:
        problem = next(untrue([decision], [] if draft is None else [draft]), "")
        yield Check(what="rung", verdict=Verdict.DIFFERS if problem else Verdict.SAME, why=problem)
    if is_ahead and draft is not None:
        yield equal("text of the draft", script.text, draft.text)
    profile = profile_of(story)
    if isinstance(profile, str):
        yield unchecked("text", profile)
        return
    try:
        if script.rung is Rung.TEMPLATE:
            text = templates.text_of(tenant, profile)
            if script.model_version == text.version:
                yield equal("text of the template", script.text, render(text.template, profile.facts))
            else:
                yield unchecked("text of the template", f"templates are of version {text.version} now")
        else:
            yield rewritten(script, profile, story.examples, models)
        guard.check(script.text, profile)
        yield Check(what="guard", verdict=Verdict.SAME)
    except GuardFailed as error:
        yield Check(what="guard", verdict=Verdict.DIFFERS, why=f"recorded passed, again {error}")


def profile_of(story: Story) -> Profile | str:
    """What the author was told, the name put in again from the account; or why that is not known any more."""
    decision, script = story.decision, story.decision.script
    if script is None or script.told is None or decision.reason is None:
        return "the record does not have what the author was told: it is of a version before that"
    facts = dict(script.told.facts)
    if script.told.named:
        if story.account is None or story.account.name is None:
            return "the account that had the user's name is no longer there"
        facts["name"] = tidy(story.account.name)
    return Profile(
        tenant=decision.tenant,
        locale=script.locale,
        tier=decision.to_tier,
        strategy=decision.strategy,
        reason=decision.reason,
        plan="free" if story.account is None else story.account.plan,
        facts=facts,
        sentences=script.told.sentences,
        brief=script.told.brief,
    )


def account_at(accounts: Iterable[Account], decision: Decision) -> Account | None:
    """The account as of the time of decision: its newest event of before it."""
    until_ms = decision.at if decision.ruling is None else decision.ruling.standing.at
    before = [one for one in accounts if one.ts < until_ms]
    return max(before, key=lambda one: (one.ts, one.event_id), default=None)
