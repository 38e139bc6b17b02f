"""From decisions and what came of them to the scripts that worked: the next version of a tenant's examples.

Scripts are compared where they were sent for the same tier, reason, strategy and language. What is counted
are users, each once for a script, of whom some answered it within the window. A script is an example where

- `least` users got it, so that nothing in it is one user's own;
- nobody complained of it or opted out after it, however late;
- more answered it than the other scripts there, the lower bound (Wilson, 95 %) above the others' share.

Nobody drew by chance who gets which script, so users may differ as well as scripts do. Many scripts are many
chances to be wrong: of forty that are no better than the others, one passes.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from msgspec import Struct

from inference.intervals import wilson
from schemas.decision import Decision
from schemas.examples import Example, Examples, version_of
from schemas.feedback import Feedback
from schemas.vocabulary import Locale, Outcome, Reason, Strategy, Tier
from streams.learning import ANSWERS, COMPLAINTS, DAY_MS, judged

KEPT = 5
"""Examples of a group that a version has at most: more do not fit into a prompt."""
WORKED = "worked"
FEW, COMPLAINED, ALONE, NO_BETTER = FAULTS = (
    "too few users",
    "complaints or opt-outs",
    "nothing to compare with",
    "not certainly better",
)
"""What speaks against a script, the first that holds."""


class Order(Struct, frozen=True, kw_only=True):
    """Whose examples, and what an example must have: as many users as `least`, and `window_days` to answer.

    `simulated` learns of simulated outcomes, and of no others.
    """

    tenant: str
    least: int = 30
    window_days: float = 7.0
    simulated: bool = False


class Found(Struct, frozen=True, kw_only=True):
    """The next version of the examples, and how many scripts there were, by what became of them."""

    examples: Examples
    scripts: dict[str, int]


class _Group(NamedTuple):
    tier: Tier
    reason: Reason
    strategy: Strategy
    locale: Locale


class _Tried(Struct):
    """What became of a script: who got it, who of them answered it, and whether anybody complained."""

    got: set[str]
    answered: set[str]
    complained: bool = False


def worked(decisions: Iterable[Decision], feedback: Iterable[Feedback], order: Order) -> Found:
    """The next version of a tenant's examples, from all that is known. The same records give the same."""
    scripts = dict.fromkeys((WORKED, *FAULTS), 0)
    examples: list[Example] = []
    for group, tried in sorted(_groups(decisions, feedback, order).items()):
        passed = []
        for example, fault in _judged(group, tried, order.least):
            scripts[fault or WORKED] += 1
            passed += [] if fault else [example]
        examples += sorted(passed, key=lambda one: (-one.low, one.template))[:KEPT]
    version = Examples(
        tenant=order.tenant,
        version=version_of(tuple(examples), order.simulated),
        examples=tuple(examples),
        simulated=order.simulated,
    )
    return Found(examples=version, scripts=scripts)


def _judged(group: _Group, tried: Mapping[str, _Tried], least: int) -> Iterator[tuple[Example, str]]:
    """Each script of a group as an example, and what speaks against it, if anything."""
    got = sum(len(one.got) for one in tried.values())
    answered = sum(len(one.answered) for one in tried.values())
    for template, one in tried.items():
        if len(one.got) < least:
            fault = FEW
        elif one.complained:
            fault = COMPLAINED
        elif got - len(one.got) < least:
            fault = ALONE
        else:
            fault = ""
        example = Example(
            **group._asdict(),
            template=template,
            users=len(one.got),
            answered=len(one.answered),
            low=wilson(len(one.answered), len(one.got))[0] if len(one.got) >= least else 0.0,
            others=(answered - len(one.answered)) / max(1, got - len(one.got)),
        )
        yield example, fault or (NO_BETTER if example.low <= example.others else "")


def _groups(
    decisions: Iterable[Decision], feedback: Iterable[Feedback], order: Order
) -> dict[_Group, dict[str, _Tried]]:
    """What became of each template, by group."""
    groups: dict[_Group, dict[str, _Tried]] = {}
    window_ms = int(order.window_days * DAY_MS)
    for one in judged(decisions, feedback, order.tenant, window_ms, order.simulated):
        decision, script = one.decision, one.decision.script
        if decision.outcome is not Outcome.SENT or decision.reason is None:
            continue
        if script is None or not script.template:
            continue
        group = _Group(decision.to_tier, decision.reason, decision.strategy, script.locale)
        tried = groups.setdefault(group, {}).setdefault(script.template, _Tried(set(), set()))
        tried.complained |= any(each.outcome.kind in COMPLAINTS for each in one.came)
        if one.is_over:
            tried.got.add(decision.user_id)
            if any(each.outcome.kind in ANSWERS and each.after_ms <= window_ms for each in one.came):
                tried.answered.add(decision.user_id)
    return groups
