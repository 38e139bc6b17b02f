"""Mustache to text: a script's slots filled with facts, as plain text."""

import re
from functools import lru_cache
from typing import Any

import pystache
from pystache.common import PystacheError
from pystache.parser import ParsingError

from schemas.errors import GuardFailed
from schemas.profile import SLOTS

MAX_TEMPLATE_CHARS = 2_000
_TAG = re.compile(r"\{\{(?P<kind>[#^/&]?)\s*(?P<slot>\w+)\s*\}\}")
_BRACES = re.compile(r"\{\{|\}\}")
_HAN = r"\u3400-\u4dbf\u4e00-\u9fff\u3000-\u303f\uff00-\uffef"
_SPACE_IN_HAN = re.compile(rf"(?<=[{_HAN}]) (?=[{_HAN}])")
_SPACE_BEFORE_MARK = re.compile(r" +(?=[,.!?;:](?:\s|$)|[，。！？；：、])")


class _Renderer(pystache.Renderer):  # type: ignore[misc]  # pystache has no types
    """Fills slots with strings only: whatever else comes up is a slot without a fact."""

    def str_coerce(self, val: object) -> str:
        raise PystacheError


_renderer = _Renderer(escape=str, partials={}, missing_tags="strict")


def render(template: str, facts: dict[str, str]) -> str:
    """`template` with its slots filled from `facts`, white space tidied.

    A section `{{#slot}}…{{/slot}}` is left out where the slot has no fact. Facts are put in as they
    are: what looks like Mustache in one of them stays text.

    >>> render("Hi{{#name}} {{name}}{{/name}}, {{product}}  is here.", {"product": "Acme"})
    'Hi, Acme is here.'
    >>> render("Hi {{name}}!", {"name": "{{product}} <b>"})
    'Hi {{product}} <b>!'

    Raises:
        GuardFailed: the template is not Mustache of known slots alone, or fills a slot that has no
            fact.
    """
    if len(template) > MAX_TEMPLATE_CHARS:
        raise GuardFailed(
            f"the template has {len(template)} characters, at most {MAX_TEMPLATE_CHARS} allowed"
        )
    _check_tags(template)
    context = {slot: facts.get(slot) or None for slot in SLOTS}
    try:
        text: str = _renderer.render(_parsed(template), context)
    except ParsingError as error:
        raise GuardFailed(f"the template's sections do not match: {error}") from None
    except PystacheError:
        missing = sorted({tag["slot"] for tag in _TAG.finditer(template) if not context[tag["slot"]]})
        raise GuardFailed(f"the template fills a slot that has no fact: {', '.join(missing)}") from None
    return tidy(text)


def flat(template: str, facts: dict[str, str]) -> str:
    """`template` as it is for whoever has the same `facts`: only slots are left of it, and no section.

    >>> flat("Hi{{#name}} {{name}}{{/name}}, {{ product }} is here.", {"product": "Acme"})
    'Hi, {{product}} is here.'

    Raises:
        GuardFailed: as `render` does.
    """
    return render(template, {slot: f"{{{{{slot}}}}}" for slot, fact in facts.items() if fact})


def tidy(text: str) -> str:
    """The text in one line: single spaces, none before punctuation and none between Han characters.

    >>> tidy("Hello ,\\n  again . 您好 ， 欢迎 回来")
    'Hello, again. 您好，欢迎回来'
    """
    text = " ".join(text.split())
    text = _SPACE_BEFORE_MARK.sub("", text)
    return _SPACE_IN_HAN.sub("", text)


@lru_cache(maxsize=1024)
def _parsed(template: str) -> Any:
    """The template as pystache keeps it; a segment's or a tenant's is rendered for many users."""
    return pystache.parse(template, raise_on_mismatch=True)


def _check_tags(template: str) -> None:
    """Nothing but known slots and their sections: no partials, lambdas, comments or new delimiters."""
    for tag in _TAG.finditer(template):
        if tag["slot"] not in SLOTS:
            raise GuardFailed(f"the template names a slot that does not exist: {tag['slot']}")
    leftover = _BRACES.search(_TAG.sub("", template))
    if leftover is not None:
        raise GuardFailed("the template has a tag that is neither a slot nor a section")
