"""Pairs of scripts of which users took one better than the other: what DPO learns from.

Two scripts are compared only where nothing but their words differs: same tier, reason and locale, and the
same slots filled. A model that learned from the text that a user got would learn somebody's name, so it
learns from the template; one in which a fact of its user stands all the same is left out.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from msgspec import Struct

from inference.prompt import ALWAYS_GIVEN, prompt
from schemas.decision import Decision, Script
from schemas.outcome import OutcomeKind, UserOutcome
from schemas.profile import SLOTS, Profile
from schemas.vocabulary import Locale, Reason, Tier

LIKED = frozenset({OutcomeKind.REPLIED, OutcomeKind.CONVERTED})
DISLIKED = frozenset({OutcomeKind.COMPLAINT, OutcomeKind.UNSUBSCRIBED})
_SLOT, _NUMBER = re.compile(r"\{\{\w+\}\}"), re.compile(r"\d+")
_WEEK = "7"
"""The one number that scripts for everybody have: facts are counted in days of the last seven."""


class Pair(Struct, frozen=True, kw_only=True):
    """A prompt, the template that users took well, and the one that they took badly.

    `simulated` where any of the outcomes behind it was; the ids are of the two decisions.
    """

    prompt: str
    chosen: str
    rejected: str
    tier: Tier
    reason: Reason
    locale: Locale
    chosen_id: str
    rejected_id: str
    simulated: bool


class _Judged(NamedTuple):
    decision: Decision
    template: str
    simulated: bool


class _Group(NamedTuple):
    tier: Tier
    reason: Reason
    locale: Locale
    slots: frozenset[str]


def pairs(decisions: Iterable[Decision], outcomes: Iterable[UserOutcome]) -> Iterator[Pair]:
    """A pair for each script that was taken well and one of its group that was taken badly, in order of time.

    Each script is in one pair at most, so that one script that annoyed many does not make up all of the data.
    A script with outcomes of both sorts says nothing, and is left out. Copies of records count once; outcomes
    without their decision, or of another user than the decision's, are left out.
    """
    of_decision: dict[str, list[UserOutcome]] = {}
    for one in {one.outcome_id: one for one in outcomes}.values():
        of_decision.setdefault(one.decision_id, []).append(one)
    liked: dict[_Group, list[_Judged]] = {}
    disliked: dict[_Group, list[_Judged]] = {}
    latest = {decision.id: decision for decision in decisions}
    for decision in sorted(latest.values(), key=lambda one: (one.at, one.id)):
        known = [
            one
            for one in of_decision.get(decision.id, [])
            if (one.tenant, one.user_id) == (decision.tenant, decision.user_id)
        ]
        kinds = {one.kind for one in known}
        says_nothing = bool(kinds & LIKED) == bool(kinds & DISLIKED)
        if decision.script is None or decision.reason is None or says_nothing:
            continue
        template = decision.script.template
        if not is_for_everybody(decision.script):
            continue
        slots = frozenset(slot for slot in SLOTS if f"{{{{{slot}}}}}" in template)
        group = _Group(decision.to_tier, decision.reason, decision.script.locale, slots)
        judged = _Judged(decision, template, any(one.simulated for one in known))
        (liked if kinds & LIKED else disliked).setdefault(group, []).append(judged)
    for group, better in liked.items():
        for liked_one, other in zip(better, disliked.get(group, []), strict=False):
            if liked_one.template != other.template:
                yield _pair(group, liked_one, other)


def is_for_everybody(script: Script) -> bool:
    """Whether a script has a template, and no word or number of its user stands in it outside of the slots.

    What its author was told is in the record, all but the name, which no model is ever told.
    """
    own = _SLOT.sub(" ", script.template)
    facts = {} if script.told is None else script.told.facts
    words = (fact for slot, fact in facts.items() if slot not in ALWAYS_GIVEN and not fact.isdecimal())
    numbers = set(_NUMBER.findall(own)) - {_WEEK}
    return bool(script.template) and not numbers and not any(word in own for word in words)


def _pair(group: _Group, better: _Judged, worse: _Judged) -> Pair:
    profile = Profile(
        tenant=better.decision.tenant,
        locale=group.locale,
        tier=group.tier,
        strategy=better.decision.strategy,
        reason=group.reason,
        plan="free",  # the record does not say
        facts=dict.fromkeys((*ALWAYS_GIVEN, *sorted(group.slots)), ""),
        sentences=(),
    )
    return Pair(
        prompt=prompt(profile),
        chosen=better.template,
        rejected=worse.template,
        tier=group.tier,
        reason=group.reason,
        locale=group.locale,
        chosen_id=better.decision.id,
        rejected_id=worse.decision.id,
        simulated=better.simulated or worse.simulated,
    )
