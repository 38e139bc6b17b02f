"""The scripts that people wrote: Mustache, one file a locale, by strategy and reason.

Every template uses `{{product}}` freely, which each profile has, and all other slots in sections
only, so that it reads well whatever is known of the user.
"""

import tomllib
from importlib import resources

from schemas.profile import Profile
from schemas.vocabulary import Locale, Reason, Strategy

MODEL = "templates"
VERSION = "1"
"""What a script of the template rung names as its model and version. Raise it with the texts."""
DEFAULT = "default"


def _load(locale: Locale) -> dict[str, dict[str, str]]:
    text = resources.files(__name__).joinpath(f"{locale}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


_TEXTS = {locale: _load(locale) for locale in Locale}


def template_for(locale: Locale, strategy: Strategy, reason: Reason) -> str:
    """The template for `strategy` and `reason`, or the strategy's own where the reason has none.

    >>> template_for(Locale.EN, Strategy.PREVENTIVE_CARE, Reason.STEADY)[:20]
    'Hi{{#name}} {{name}}'
    """
    texts = _TEXTS[locale][strategy]
    return texts.get(reason, texts[DEFAULT])


def template_of(profile: Profile) -> str:
    """The template for the user of `profile`."""
    return template_for(profile.locale, profile.strategy, profile.reason)
