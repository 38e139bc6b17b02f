"""The closed sets of words that records use: tiers, strategies, causes, reasons, rungs, rules."""

from enum import StrEnum


class Tier(StrEnum):
    """Activity tiers, best first: the order of definition is the order of decline."""

    VERY_LOW = "very_low"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for `very_low` (churn risk very low) to 4 for `critical`."""
        return TIERS.index(self)

    @property
    def strategy(self) -> "Strategy":
        """The strategy that a script for this tier follows."""
        return STRATEGIES[self.rank]


class Strategy(StrEnum):
    """What a script tries to do for the user, one per tier, in the order of the tiers."""

    PREVENTIVE_CARE = "preventive_care"
    RECOMMEND_FEATURE = "recommend_feature"
    SOLVE_PAIN_POINT = "solve_pain_point"
    RETENTION_OFFER = "retention_offer"
    URGENT_INTERVENTION = "urgent_intervention"


TIERS: tuple[Tier, ...] = tuple(Tier)
STRATEGIES: tuple[Strategy, ...] = tuple(Strategy)


class Cause(StrEnum):
    """Why a crossing happened."""

    DECLINE = "decline"
    RISK = "risk"
    RISE = "rise"


class Trigger(StrEnum):
    """What a user's risk was assessed at."""

    SUPPORT = "support"
    ERRORS = "errors"
    ACCOUNT = "account"


class Reason(StrEnum):
    """The user's own main reason, read from the features; it chooses what a script talks about."""

    LOGIN_DROP = "login_drop"
    USAGE_DROP = "usage_drop"
    FEATURE_LOSS = "feature_loss"
    ERRORS = "errors"
    SUPPORT = "support"
    INACTIVE = "inactive"
    STEADY = "steady"


class Locale(StrEnum):
    """Languages that scripts are written in."""

    ZH = "zh"
    EN = "en"

    @classmethod
    def of(cls, tag: str | None) -> "Locale":
        """The locale of a BCP 47 tag; English where the language is unknown.

        >>> Locale.of("zh-CN"), Locale.of("fr"), Locale.of(None)
        (<Locale.ZH: 'zh'>, <Locale.EN: 'en'>, <Locale.EN: 'en'>)
        """
        return cls.ZH if tag is not None and tag.lower().startswith("zh") else cls.EN


class Rung(StrEnum):
    """The rungs of the fallback ladder, first choice first."""

    LIVE = "live"
    DRAFT = "draft"
    SEGMENT = "segment"
    TEMPLATE = "template"


class Outcome(StrEnum):
    """What became of a crossing."""

    SENT = "sent"
    HELD = "held"


class HeldBy(StrEnum):
    """The rule that held a crossing back."""

    REPLAY = "replay"
    CONSENT = "consent"
    SUPPRESSION = "suppression"
    FREQUENCY_CAP = "frequency_cap"
    QUIET_HOURS = "quiet_hours"
    """Put off: it is decided again when they end, and that is a record of its own."""
    COOLDOWN = "cooldown"
    """The user came back a short time ago."""
    OFFER_BUDGET = "offer_budget"
    """The tenant's offers of the day are used up."""
    SUPERSEDED = "superseded"
    """Put off before, and by now the user is in another tier."""
    EXPERIMENT = "experiment"
    """The user's arm gets nothing."""
    HOLDOUT = "holdout"
    """The user is never written to, so that there is something to compare with."""
    DRY_RUN = "dry_run"
    """The tenant looks on for now: the script is there, and was not sent."""
    GUARD = "guard"
    RISE = "rise"
    """A rise is published for consumers and gets no script, unless its tenant asks for one."""
