"""The one table of topics: type, key, partitions, retention."""

from typing import Any, Literal

from msgspec import Struct

from schemas.deadletter import DeadLetter
from schemas.decision import Crossing, Decision, Draft, DraftRequest
from schemas.events import Account, Login, Support, Tick, Usage
from schemas.examples import Examples
from schemas.feedback import Feedback
from schemas.outcome import UserOutcome
from schemas.pack import Pack
from schemas.policy import Rules
from schemas.risk import Burst, Risk

DAY_MS = 86_400_000
PARTITIONS = 8
"""Partitions of every topic that is keyed by user, so that a user's records stay aligned."""
MAX_RECORD_BYTES = 8 * 1024 * 1024
"""What the broker takes: far above `MAX_EVENT_BYTES`, so that an oversized event still reaches us."""


class Topic(Struct, frozen=True, kw_only=True):
    """A topic: the types it carries, its key, and the settings that it is created with.

    `max_bytes` bounds a record. Of a `compacted` topic the last record of each key is kept for ever.
    The broker stamps records with its own clock, since append times are what lateness and the budget are
    counted from; where `stamp` is the producer's, they keep the time that they had before.
    """

    name: str
    types: tuple[Any, ...]
    key: Literal["tenant/user_id", "tenant/outcome_id", "tenant/version", "version", "source"] = (
        "tenant/user_id"
    )
    partitions: int = PARTITIONS
    retention_ms: int
    max_bytes: int = MAX_RECORD_BYTES
    compacted: bool = False
    stamp: Literal["broker", "producer"] = "broker"


LOGIN = Topic(name="events.login", types=(Login, Tick), retention_ms=31 * DAY_MS)
USAGE = Topic(name="events.usage", types=(Usage, Tick), retention_ms=31 * DAY_MS)
SUPPORT = Topic(name="events.support", types=(Support, Tick), retention_ms=31 * DAY_MS)
ACCOUNT = Topic(name="events.account", types=(Account, Tick), retention_ms=-1, compacted=True)
# A dead letter carries the original in base64, a third longer.
REJECTED = Topic(
    name="events.rejected", types=(DeadLetter,), retention_ms=90 * DAY_MS, max_bytes=2 * MAX_RECORD_BYTES
)
SIFTED_LOGIN = Topic(name="sifted.login", types=(Login, Tick), retention_ms=31 * DAY_MS, stamp="producer")
SIFTED_USAGE = Topic(name="sifted.usage", types=(Usage, Tick), retention_ms=31 * DAY_MS, stamp="producer")
SIFTED = {LOGIN.name: SIFTED_LOGIN, USAGE.name: SIFTED_USAGE}
"""Where logins and uses go on to that may change anything, and ticks: into partitions of the same number."""
SEQUENCES = Topic(name="sequences", types=(Pack,), key="source", retention_ms=31 * DAY_MS)
"""All accepted events once more, packed: what Redis holds can be written anew from them."""
BURSTS = Topic(name="bursts", types=(Burst,), retention_ms=DAY_MS)
RISKS = Topic(name="risks", types=(Risk,), retention_ms=90 * DAY_MS)
CROSSINGS = Topic(name="crossings", types=(Crossing,), retention_ms=7 * DAY_MS)
DRAFT_REQUESTS = Topic(name="drafts.requests", types=(DraftRequest,), retention_ms=DAY_MS)
DRAFTS = Topic(name="drafts", types=(Draft,), retention_ms=7 * DAY_MS)
DECISIONS = Topic(name="decisions", types=(Decision,), retention_ms=365 * DAY_MS)
INTERVENTIONS = Topic(name="interventions", types=(Decision,), retention_ms=31 * DAY_MS)
OUTCOMES = Topic(name="outcomes", types=(UserOutcome,), retention_ms=365 * DAY_MS)
FEEDBACK = Topic(name="feedback", types=(Feedback,), key="tenant/outcome_id", retention_ms=-1, compacted=True)
"""Each outcome once: a copy that a crash leaves behind has the same key, and is compacted away."""

RULES = Topic(name="rules", types=(Rules,), key="version", partitions=1, retention_ms=-1, compacted=True)
"""Every version of the rules: each instance reads all of it, and follows it."""

EXAMPLES = Topic(
    name="examples", types=(Examples,), key="tenant/version", partitions=1, retention_ms=-1, compacted=True
)
"""Every version of every tenant's examples, since records name them; a tenant's last one holds."""

EVENT_TOPICS = (LOGIN, USAGE, SUPPORT, ACCOUNT)
JUDGED = (SIFTED_LOGIN, SIFTED_USAGE, SUPPORT, ACCOUNT)
"""The events that the main job reads."""
TOPICS = (
    *EVENT_TOPICS,
    REJECTED,
    SIFTED_LOGIN,
    SIFTED_USAGE,
    SEQUENCES,
    BURSTS,
    RISKS,
    CROSSINGS,
    DRAFT_REQUESTS,
    DRAFTS,
    DECISIONS,
    INTERVENTIONS,
    OUTCOMES,
    FEEDBACK,
    RULES,
    EXAMPLES,
)
TICK_KEY = b"tick"
"""The key of ticks, which no user can have: a compacted topic takes no record without one, and keeps the
last.
"""
TOPIC_OF_KIND = {"login": LOGIN, "usage": USAGE, "support": SUPPORT, "account": ACCOUNT}
