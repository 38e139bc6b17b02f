"""Whether records tell the truth about who wrote their script: each rung leaves traces that no other does."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from operators import templates
from schemas.decision import Decision, Draft, Script
from schemas.vocabulary import Rung


def untrue(decisions: Iterable[Decision], drafts: Iterable[Draft]) -> Iterator[str]:
    """What is wrong, decision by decision; `drafts` are those on their topic: of a crossing the draft, and
    what stood in for it before."""
    there: defaultdict[str, list[Draft]] = defaultdict(list)
    for draft in drafts:
        there[draft.id].append(draft)
    for decision in decisions:
        if decision.script is not None:
            problem = _problem(decision, decision.script, there[decision.id])
            if problem:
                yield f"{decision.id} says {decision.script.rung}, and {problem}"


def _problem(decision: Decision, script: Script, drafts: Sequence[Draft]) -> str:
    by_people = script.model == templates.MODEL  # ours or the tenant's own, each with a version
    if by_people != (script.rung is Rung.TEMPLATE):
        return f"its author is {script.model} {script.model_version}"
    above = set(list(Rung)[: list(Rung).index(script.rung)])
    if "model" in decision.timing.steps:
        if script.rung is Rung.DRAFT:
            return "it was composed at the crossing"
    elif not drafts:
        return "there is no draft, and nobody composed it"
    elif not any(
        (draft.rung, draft.text, draft.model_version) == (script.rung, script.text, script.model_version)
        for draft in drafts
    ):
        return "the draft has another rung, text or author"
    if set(decision.fallbacks) != above:
        return f"it names other rungs above it: {', '.join(sorted(decision.fallbacks)) or 'none'}"
    in_passing = script.rung in (Rung.LIVE, Rung.TEMPLATE)
    taken_ms = decision.timing.published_ms - decision.timing.detected_ms
    if script.rung is Rung.SEGMENT and script.age_ms <= 0:
        return "it is not older than its crossing"
    if in_passing and script.age_ms > taken_ms + 1:
        return f"it is {script.age_ms:.0f} ms old, though only {taken_ms:.0f} ms passed"
    return ""
