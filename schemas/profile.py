"""What the language model is told about one user: the encoded features and the facts it may state."""

from msgspec import Struct

from schemas.vocabulary import Locale, Reason, Strategy, Tier

SLOTS = (
    "name",
    "product",
    "feature",
    "offer",
    "link",
    "logins_7d",
    "active_hours_7d",
    "usual_hours",
    "quiet_days",
)
"""The Mustache names that a script may use. A fact that is not known has no entry in `facts`."""


class Profile(Struct, frozen=True, kw_only=True):
    """One user, as a script's author sees them.

    `facts` maps slots to the only values that a script may state; `sentences` are the encoded
    features in the user's language, the most telling first. `brief` is what the tenant has a script of the
    strategy do, in its own words: no fact, so none of it may be stated.
    """

    tenant: str
    locale: Locale
    tier: Tier
    strategy: Strategy
    reason: Reason
    plan: str
    facts: dict[str, str]
    sentences: tuple[str, ...]
    brief: str = ""
