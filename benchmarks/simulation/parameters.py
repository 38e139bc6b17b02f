"""What is assumed of the customers: the rhythm as a log has it, and how they respond, which is a guess."""

from enum import StrEnum

from msgspec import Struct

from schemas.tenant import Offer, Tenant
from schemas.vocabulary import Locale, Strategy

NEEDS = ("calm", "price", "feature", "trouble")
"""What a customer lacks, latent: nothing, a lower price, a feature, an end of errors."""
PLANS = ("free", "pro", "team")
OFFERS = ("", "tour", "session", "discount", "month")
ZONES = ("America/New_York", "America/Los_Angeles", "Europe/London", "Europe/Berlin", "Asia/Shanghai")


class World(StrEnum):
    """Whose customers: those assumed, or ones who respond to nothing, have the opposite taste, or expect more
    of a message (`touchy_par`), and are annoyed twice as much.
    """

    ASSUMED = "assumed"
    DEAF = "deaf"
    OPPOSITE = "opposite"
    TOUCHY = "touchy"


class Rhythm(Struct, frozen=True, kw_only=True):
    """When a customer comes: ln of seconds between events of a session, sessions a day, and the hours.

    `stays`, `day_sd`, `anytime` and `weekend` are near what `python -m benchmarks simulate-calibrate` finds
    in chats' logs; the gaps are more alike than there, and sessions steadier and more, as at work. The rate
    of a customer is log-normal, in sessions a day; `day_sd` is the spread (hours) about the customer's own
    hour of the day, `anytime` the share of sessions at any hour, `weekend` the rate of a weekend's day over a
    weekday's, and `stays` the probability that a session goes on after an event.
    """

    gap_mean: float = 4.2
    gap_sd: float = 1.3
    stays: float = 0.8
    rate_mean: float = 0.6
    rate_sd: float = 0.5
    day_sd: float = 3.0
    anytime: float = 0.15
    weekend: float = 0.6


class Assumed(Struct, frozen=True, kw_only=True):
    """How customers feel and respond. Rates are a day's; satisfaction has no unit: 0 is content, -2 bad."""

    rhythm: Rhythm = Rhythm()
    drift_sd: float = 0.10
    """Of a day's change of satisfaction."""
    returns: float = 0.03
    """Share of the distance to a customer's own level that a day makes up."""
    level_mean: float = 0.0
    level_sd: float = 0.5
    shock: float = 0.012
    """A customer's chance, of a day, to meet a shock of their own: a price, a missing feature, trouble."""
    outage_days: tuple[int, ...] = (47, 83)
    """Days since the begin of the warm-up on which `outage_share` of all meet trouble."""
    outage_share: float = 0.25
    shock_depth: float = 1.0
    drag: float = 0.02
    """What a need that nobody meets takes from satisfaction each day."""
    need_ends: float = 0.05
    """A need's chance, of a day, to end by itself."""
    activity: float = 0.8
    """Effect of satisfaction on the log of the rate of sessions."""
    hazard: float = 0.0012
    """A content customer's chance to leave, of a day."""
    hazard_slope: float = 1.0
    """What a unit less of satisfaction adds to the log of the hazard."""
    hazard_annoyed: float = 0.35
    """What a unit of annoyance adds to it."""
    annoyed: float = 0.2
    """Annoyance from a message; a night's message is twice as bad, and a misfit adds to it."""
    calms: float = 0.12
    """Share of the annoyance that a day takes away."""
    silent: float = 0.6
    """Share of those who leave that just stop; the others cancel, which ends their consent."""
    taste_sd: float = 0.15
    open_base: float = 0.4
    click_base: float = -1.6
    click_slope: float = 3.2
    """Log-odds of a click once opened: base + slope × fit."""
    relief: float = 1.6
    """What a message that was opened gives to satisfaction, × (fit - `par`): below par it takes."""
    par: float = 0.3
    """About the fit of a choice by chance, which so neither helps nor harms, annoyance aside."""
    touchy_par: float = 0.4
    resolved: float = 0.6
    """Chance, × fit, that the need is met once clicked."""
    convert: float = 0.3
    """Chance, × fit, that a click becomes a purchase."""
    won_back: float = 0.3
    """Chance, × fit, that one who left silently comes back once they opened a message."""
    personal: float = 0.05
    """Fit that each of the customer's own facts in the text adds, up to three."""
    about_it: float = 0.15
    """Fit that a reason adds which is the customer's own."""
    wordy_chars: float = 500
    """Longer texts are opened as often, and fit 0.1 less."""


NEED_BY_PLAN = {"free": (0.5, 0.35, 0.15), "pro": (0.3, 0.4, 0.3), "team": (0.1, 0.3, 0.6)}
"""Of shocks: the shares of price, feature and trouble."""

STRATEGY_FIT = (
    (0.6, 0.4, 0.2, 0.1, 0.0),
    (0.1, 0.1, 0.2, 0.8, 0.5),
    (0.2, 0.8, 0.4, 0.1, 0.2),
    (0.2, 0.1, 0.8, 0.2, 0.5),
)
"""By need, then by strategy in the order of the tiers."""

OFFER_FIT = (
    (0.5, 0.3, 0.2, 0.2, 0.3),
    (0.0, 0.1, 0.2, 0.8, 0.8),
    (0.2, 0.8, 0.6, 0.1, 0.2),
    (0.2, 0.2, 0.8, 0.3, 0.4),
)
"""By need, then by offer in the order of `OFFERS`."""

OFFER_COST = {"": 0.0, "tour": 1.0, "session": 12.0, "discount": 9.0, "month": 15.0}
"""In the tenant's currency, once clicked."""
WORTH = {"free": 15.0, "pro": 25.0, "team": 60.0}
"""What a purchase brings, by plan, in the tenant's currency."""

TENANT = "simulated"
PROFILE = Tenant(
    product="Acme Cloud",
    link="https://acme.example/welcome-back",
    offers=tuple(
        Offer(id=name, strategy=strategy, text={Locale.EN: en, Locale.ZH: zh})
        for name, strategy, en, zh in (
            ("tour", Strategy.RECOMMEND_FEATURE, "a guided tour of what is new", "一次新功能导览"),
            (
                "session",
                Strategy.SOLVE_PAIN_POINT,
                "a free session with one of our specialists",
                "一次免费的专家一对一辅导",
            ),
            ("discount", Strategy.RETENTION_OFFER, "20% off the next three months", "接下来三个月八折优惠"),
            ("month", Strategy.URGENT_INTERVENTION, "one month free of charge", "免费赠送一个月"),
        )
    ),
)
