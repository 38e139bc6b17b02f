"""The scripts that people wrote: Mustache, one file a locale, by strategy and reason.

Every template uses `{{product}}` freely, which each profile has, and all other slots in sections
only, so that it reads well whatever is known of the user.
"""

import tomllib
from importlib import resources
from typing import NamedTuple

from schemas.profile import Profile
from schemas.tenant import DEFAULT, Tenant
from schemas.vocabulary import Locale, Reason, Strategy

MODEL = "templates"
VERSION = "1"
"""What a script of the template rung names as its model and version. Raise it with the texts."""


class Text(NamedTuple):
    """A template, and the version of the texts that it is of."""

    template: str
    version: str


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


def text_of(tenant: Tenant, profile: Profile) -> Text:
    """The template for the user of `profile`: the tenant's own, or ours where it has none.

    The version of a tenant's own texts begins with the tenant, and is another one as soon as they are.

    >>> from schemas.vocabulary import Tier
    >>> profile = Profile(
    ...     tenant="acme", locale=Locale.EN, tier=Tier.LOW, strategy=Strategy.RECOMMEND_FEATURE,
    ...     reason=Reason.STEADY, plan="pro", facts={"product": "Acme"}, sentences=(),
    ... )
    >>> own = {Locale.EN: {Strategy.RECOMMEND_FEATURE: {"default": "There is more in {{product}}."}}}
    >>> text_of(Tenant(product="Acme", templates=own), profile)
    Text(template='There is more in {{product}}.', version='acme-7e2b8858')
    >>> text_of(Tenant(product="Acme"), profile).version
    '1'
    """
    own = tenant.template(profile.locale, profile.strategy, profile.reason)
    if own is None:
        return Text(template_of(profile), VERSION)
    return Text(own, f"{profile.tenant}-{tenant.templates_version}")
