"""Scripts that worked: what a tenant's users answered best, for the model to be shown."""

from hashlib import blake2b
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from schemas.events import TenantId
from schemas.policy import Label, Share
from schemas.vocabulary import Locale, Reason, Strategy, Tier

SIMULATED = "simulated-"
"""What the name of a version begins with that was learned of simulated outcomes."""


class Example(Struct, frozen=True, kw_only=True):
    """A script as a Mustache template, for whom it was written, and what they made of it.

    Of `users` who got it `answered` did; `low` is the lower bound (Wilson, 95 %) of that share, `others` the
    share that answered the other scripts for users of the same tier, reason, strategy and language.
    """

    tier: Tier
    reason: Reason
    strategy: Strategy
    locale: Locale
    template: Annotated[str, Meta(min_length=1)]
    users: int
    answered: int
    low: Share
    others: Share


class Examples(Struct, frozen=True, kw_only=True):
    """One version of a tenant's examples: of each sort of users the best first. One without any shows none.

    Of a tenant's versions the one that was published last holds. A version is never changed, since records
    name it.
    """

    tenant: TenantId
    version: Label
    examples: tuple[Example, ...] = ()
    simulated: bool = False

    @property
    def key(self) -> str:
        """The key of the record."""
        return f"{self.tenant}/{self.version}"


def version_of(examples: tuple[Example, ...], simulated: bool) -> str:
    """The name of a version: a function of what prompts show of it, so that the same has the same name.

    >>> version_of((), False), version_of((), True)
    ('3833238a', 'simulated-3833238a')
    """
    shown = [(one.tier, one.reason, one.strategy, one.locale, one.template) for one in examples]
    digest = blake2b(msgspec.json.encode(shown), digest_size=4).hexdigest()
    return f"{SIMULATED if simulated else ''}{digest}"
