"""What came of doing a step of a decision again."""

from enum import StrEnum

from msgspec import Struct


class Verdict(StrEnum):
    """What came of doing it again."""

    SAME = "same"
    DIFFERS = "differs"
    UNCHECKED = "not checked"


class Check(Struct, frozen=True, kw_only=True):
    """One step that was done again, and why it is not the same or could not be done."""

    what: str
    verdict: Verdict
    why: str = ""


def equal(what: str, recorded: object, again: object) -> Check:
    """Whether the step gave again what is recorded.

    >>> equal("tier", "low", "high").why
    'recorded low, again high'
    """
    if recorded == again:
        return Check(what=what, verdict=Verdict.SAME)
    return Check(what=what, verdict=Verdict.DIFFERS, why=f"recorded {recorded}, again {again}")


def unchecked(what: str, why: str) -> Check:
    """The step could not be done again."""
    return Check(what=what, verdict=Verdict.UNCHECKED, why=why)
