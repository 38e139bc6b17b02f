"""The sentences that scripts are composed of, and the exact rules by which they are found again in a text."""

import re
import tomllib
from functools import cache
from importlib import resources
from random import Random
from typing import NamedTuple

from schemas.vocabulary import Locale

_CHOICE = re.compile(r"\[([^\[\]]*\|[^\[\]]*)\]")
_SLOT = re.compile(r"\{\{(\w+)\}\}")


class Phrase(NamedTuple):
    """One sentence of a family, with its choices `[a|b]`.

    `family` is the place in a script and what it is chosen by, such as `act.retention_offer`.
    """

    family: str
    source: str

    @property
    def slots(self) -> frozenset[str]:
        """The slots of all choices together."""
        return slots_of(self.source)

    def spell(self, random: Random) -> str:
        """The sentence with one of each of its choices."""
        return _CHOICE.sub(lambda choice: random.choice(choice[1].split("|")), self.source)

    def pattern(self) -> str:
        """A regular expression that matches each way to spell the sentence, and nothing else.

        >>> Phrase("close.team", "Well [done|made].").pattern()
        'Well\\\\ (?:done|made)\\\\.'
        """
        parts, at = [], 0
        for choice in _CHOICE.finditer(self.source):
            options = "|".join(map(re.escape, choice[1].split("|")))
            parts += [re.escape(self.source[at : choice.start()]), f"(?:{options})"]
            at = choice.end()
        return "".join(parts) + re.escape(self.source[at:])


def slots_of(text: str) -> frozenset[str]:
    """The names of the Mustache slots in `text`.

    >>> sorted(slots_of("{{name}} and {{link}}"))
    ['link', 'name']
    """
    return frozenset(_SLOT.findall(text))


@cache
def phrases(locale: Locale) -> dict[str, tuple[Phrase, ...]]:
    """All phrases of a language by family."""
    file = resources.files("inference.training").joinpath("fragments", f"{locale}.toml")
    places = tomllib.loads(file.read_text(encoding="utf-8"))
    return {
        f"{place}.{name}": tuple(Phrase(f"{place}.{name}", source) for source in sources)
        for place, families in places.items()
        for name, sources in families.items()
    }


def parse(text: str, locale: Locale) -> tuple[str, ...] | None:
    """The families of the phrases that `text` is made of, in its order; None where anything is left over.

    >>> parse("{{name}}, we value the trust you place in us. Just answer this message.", Locale.EN)
    ('greet.name', 'observe.steady', 'close.solve_pain_point')
    >>> parse("{{name}}, thank you for everything.", Locale.EN) is None
    True
    """
    families: list[str] = []
    at = 0
    while at < len(text):
        found = _matcher(locale).match(text, at)
        if found is None or found.lastgroup is None:
            return None
        families.append(_groups(locale)[int(found.lastgroup[1:])].family)
        at = found.end()
        # English puts a space between sentences; the greeting has its own.
        if text[at : at + 1] == " ":
            at += 1
    return tuple(families)


@cache
def _groups(locale: Locale) -> tuple[Phrase, ...]:
    """All phrases, the longer first, so that no phrase hides one that it begins."""
    known = (phrase for family in phrases(locale).values() for phrase in family)
    return tuple(sorted(known, key=lambda phrase: -len(phrase.source)))


@cache
def _matcher(locale: Locale) -> re.Pattern[str]:
    return re.compile("|".join(f"(?P<p{i}>{phrase.pattern()})" for i, phrase in enumerate(_groups(locale))))
