"""The fallback ladder: of several attempts at a script, the first that may be sent is taken."""

from collections.abc import Iterable
from typing import NamedTuple

from operators import guard, render, templates
from schemas.errors import HoldfastError
from schemas.profile import Profile
from schemas.vocabulary import HeldBy, Rung

NOT_TRIED = "not tried"


class Taken(NamedTuple):
    """The rung that gave a script, the text to send and its template, and why each rung above gave none."""

    rung: Rung
    text: str
    template: str
    fallbacks: dict[Rung, str]


class Exhausted(NamedTuple):
    """No rung gave a script: the crossing is held."""

    held_by: HeldBy
    fallbacks: dict[Rung, str]


def settle(
    profile: Profile, attempts: Iterable[tuple[Rung, str | HoldfastError]], only: Rung | None = None
) -> Taken | Exhausted:
    """The first rung whose template can be filled from the profile's facts and passes the guard.

    An attempt is a rung with the Mustache template that it made, or with the error that kept it from
    making one. Attempts may come in any order; of two at one rung the first counts. The template
    written by people is always the last rung; ours need not be given. `only` is the one rung that may write.

    >>> from schemas.errors import DeadlineExceeded
    >>> from schemas.vocabulary import Locale, Reason, Strategy, Tier
    >>> profile = Profile(
    ...     tenant="acme", locale=Locale.EN, tier=Tier.LOW, strategy=Strategy.RECOMMEND_FEATURE,
    ...     reason=Reason.STEADY, plan="pro", facts={"product": "Acme"}, sentences=(),
    ... )
    >>> taken = settle(profile, [(Rung.LIVE, DeadlineExceeded("no script within 31 ms"))])
    >>> taken.rung, taken.fallbacks[Rung.LIVE]
    (<Rung.TEMPLATE: 'template'>, 'DeadlineExceeded: no script within 31 ms')
    """
    made: dict[Rung, str | HoldfastError] = {}
    for attempted, result in attempts:
        made.setdefault(attempted, result)
    made.setdefault(Rung.TEMPLATE, templates.template_of(profile))
    fallbacks: dict[Rung, str] = {}
    for rung in Rung:
        if only not in (None, rung):
            fallbacks[rung] = f"only the {only} may be sent here"
            continue
        try:
            template = _template(made.get(rung))
            text = render.render(template, profile.facts)
            guard.check(text, profile)
            return Taken(rung, text, render.flat(template, profile.facts), fallbacks)
        except HoldfastError as error:
            fallbacks[rung] = _why(error)
    return Exhausted(HeldBy.GUARD, fallbacks)


def refusal(profile: Profile, template: str) -> str | None:
    """Why the ladder would not take `template` for the user of `profile`; None where it would."""
    return settle(profile, [(Rung.LIVE, template)]).fallbacks.get(Rung.LIVE)


def _template(made: str | HoldfastError | None) -> str:
    if made is None:
        raise HoldfastError(NOT_TRIED)
    if isinstance(made, HoldfastError):
        raise made
    return made


def _why(error: HoldfastError) -> str:
    if type(error) is HoldfastError:
        return str(error)
    return f"{type(error).__name__}: {error}"
