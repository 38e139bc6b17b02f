"""The customers, as arrays: what they feel from day to day, and who leaves.

Chance is drawn for all customers every day, whatever became of them, and nothing here depends on events: so
the same seed gives the same days to customers who get messages and to their doubles who get none, and the
difference between the two is what the messages did.
"""

import numpy as np
from numpy.typing import NDArray

from benchmarks.simulation.parameters import NEED_BY_PLAN, NEEDS, OFFERS, PLANS, ZONES, Assumed
from schemas.vocabulary import STRATEGIES, Locale

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
CALM, PRICE, FEATURE, TROUBLE = range(len(NEEDS))


class Customers:
    """Who they are, which does not change."""

    def __init__(self, count: int, seed: int, assumed: Assumed) -> None:
        dice = np.random.default_rng([seed, 1])
        rhythm = assumed.rhythm
        self.count = count
        self.ids = [f"u{seed}-{number}" for number in range(count)]
        self.plan = dice.choice(len(PLANS), size=count, p=(0.4, 0.4, 0.2))
        self.zone = dice.choice(len(ZONES), size=count)
        self.locale = [Locale.ZH if ZONES[zone] == "Asia/Shanghai" else Locale.EN for zone in self.zone]
        self.rate = np.exp(dice.normal(rhythm.rate_mean, rhythm.rate_sd, count))
        """Sessions a day while content."""
        self.hour = np.clip(dice.normal(13.0, 3.0, count), 6, 22)
        """The customer's own hour of the day, on their own clock."""
        self.favourite = dice.integers(0, 8, count)
        self.level = dice.normal(assumed.level_mean, assumed.level_sd, count)
        self.price_sensitive = dice.beta(2, 2, count)
        self.taste = dice.normal(0, assumed.taste_sd, (count, len(STRATEGIES)))
        self.offer_taste = dice.normal(0, assumed.taste_sd, (count, len(OFFERS)))
        self.opens = dice.normal(assumed.open_base, 0.5, count)
        """Log-odds of opening a message."""
        shares = np.array([NEED_BY_PLAN[plan] for plan in PLANS])
        self.needs = np.cumsum(shares, axis=1)[self.plan]


class Mood:
    """How all customers are at the moment. `here` are those who have not left."""

    def __init__(self, customers: Customers) -> None:
        count = customers.count
        self.satisfaction: Floats = customers.level.copy()
        self.need: Ints = np.zeros(count, dtype=np.int64)
        self.annoyance: Floats = np.zeros(count)
        self.here: Flags = np.ones(count, dtype=bool)
        self.cancelled: Flags = np.zeros(count, dtype=bool)


class Day:
    """The chances of one day, the same for a customer and for their double."""

    def __init__(self, customers: Customers, seed: int, day: int, assumed: Assumed) -> None:
        dice, count = np.random.default_rng([seed, 2, day]), customers.count
        self.drift = dice.normal(0, assumed.drift_sd, count)
        self.shocked = dice.random(count) < assumed.shock
        self.kind = 1 + (dice.random(count)[:, None] > customers.needs[:, :2]).sum(axis=1)
        outage = dice.random(count) < assumed.outage_share
        if day in assumed.outage_days:
            self.kind = np.where(outage, TROUBLE, self.kind)
            self.shocked = self.shocked | outage
        self.eased = dice.random(count) < assumed.need_ends
        self.leaving = dice.random(count)
        self.silently = dice.random(count) < assumed.silent


def pass_day(mood: Mood, customers: Customers, day: Day, assumed: Assumed) -> Ints:
    """Let `mood` live through `day`; who leaves on it, as indices."""
    mood.need = np.where(day.eased, CALM, mood.need)
    mood.need = np.where(day.shocked, day.kind, mood.need)
    pull = assumed.returns * (customers.level - mood.satisfaction)
    depth = np.where(day.kind == PRICE, 0.4 + customers.price_sensitive, 1.0) * assumed.shock_depth
    mood.satisfaction = (
        mood.satisfaction + pull + day.drift - depth * day.shocked - assumed.drag * (mood.need != CALM)
    ).clip(-4, 2)
    mood.annoyance = mood.annoyance * (1 - assumed.calms)
    log_hazard = -assumed.hazard_slope * mood.satisfaction + assumed.hazard_annoyed * mood.annoyance
    leaves = mood.here & (day.leaving < np.minimum(0.3, assumed.hazard * np.exp(log_hazard)))
    mood.here = mood.here & ~leaves
    mood.cancelled = mood.cancelled | (leaves & ~day.silently)
    return np.flatnonzero(leaves)
