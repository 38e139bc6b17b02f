"""The corpus: profiles as the encoder makes them, each with a script that people could have written.

Deterministic by seed. A script is composed of a greeting, an observation (by reason), an act (by
strategy) and a close (by offer, link, plan), which always asks for something, and for one thing. Which ones
is a pure function of the profile's header; the words are drawn.
"""

from collections.abc import Iterator
from hashlib import blake2b, sha256
from itertools import islice
from random import Random
from typing import NamedTuple

from inference.prompt import ALWAYS_GIVEN, header, prompt
from inference.training.facts import FACT_CHARS, NUMBER_CHARS, WORD_CHARS, made_up
from inference.training.phrases import Phrase, phrases, slots_of
from inference.training.sentences import told
from schemas.profile import SLOTS, Profile
from schemas.vocabulary import TIERS, Locale, Reason, Strategy

MAX_CHARS = {Locale.EN: 320, Locale.ZH: 160}
"""The guard's limit: a test fails where the two part."""
MAX_OWN_CHARS = {Locale.EN: 150, Locale.ZH: 66}
"""A script's own characters, slots left out: what is short is read, and soon written."""
HELD_OUT_SHARE = 16
"""One of so many combinations of the header is never trained on."""
TEAM_PLANS = ("team", "business", "enterprise")
_PLANS = ("free", "basic", "pro", "starter", "plus", "premium", *TEAM_PLANS, *TEAM_PLANS)
_SYLLABLES = (
    "lo",
    "max",
    "gro",
    "ne",
    "tra",
    "vi",
    "duo",
    "x",
    "standard",
    "-2",
    "_eu",
    "basis",
    "专业",
    "版",
)
_CLOSE_OF = {
    Strategy.PREVENTIVE_CARE: "care",
    Strategy.RECOMMEND_FEATURE: "care",
    Strategy.SOLVE_PAIN_POINT: "help",
    Strategy.RETENTION_OFFER: "win",
    Strategy.URGENT_INTERVENTION: "win",
}
_TELLING = {
    Reason.LOGIN_DROP: "logins_7d",
    Reason.FEATURE_LOSS: "feature",
    Reason.INACTIVE: "quiet_days",
}
"""The fact that an observation always states, where it is given. Were it left to chance, the model would
learn to state it by chance, given or not."""
_GIVEN = {"name": 0.75, "feature": 0.5, "offer": 0.5, "link": 0.5, "logins_7d": 0.5, "quiet_days": 0.5}
"""The share of profiles that have a fact: near a half, so that only the header tells."""
_FINGERPRINTED = 2_000


class Example(NamedTuple):
    """A profile and a script that suits it."""

    profile: Profile
    script: str


def examples(seed: int, *, held_out: bool = False) -> Iterator[Example]:
    """Examples without end, from the combinations that are trained on or from those held out."""
    random = Random(f"{seed}/{held_out}")
    while True:
        profile = make_profile(random)
        if is_held_out(profile) is held_out:
            yield Example(profile, compose(profile, random))


def fingerprint(seed: int) -> str:
    """What names the corpus of `seed`: SHA-256 of its first 2,000 examples, as the model sees them.

    A phrase, a rule or an instruction that changes, changes it.
    """
    digest = sha256()
    for example in islice(examples(seed), _FINGERPRINTED):
        digest.update(f"{prompt(example.profile)}{example.script}\n".encode())
    return f"sha256:{digest.hexdigest()}"


def make_profile(random: Random) -> Profile:
    """A profile as the encoder could make it; strategy and reason are drawn evenly."""
    tier = random.choice(TIERS)
    locale = random.choice(list(Locale))
    reason = random.choice(list(Reason))
    wanted = {slot for slot in SLOTS if slot in ALWAYS_GIVEN or random.random() < _GIVEN[slot]}
    given = made_up(random, locale, wanted)
    plan = random.choice(_PLANS) if random.random() < 0.75 else "".join(random.choices(_SYLLABLES, k=3))
    return Profile(
        tenant="corpus",
        locale=locale,
        tier=tier,
        strategy=tier.strategy,
        reason=reason,
        plan=plan,
        facts=given,
        sentences=told(random, locale, reason, given.get("feature", "export")),
    )


def is_held_out(profile: Profile) -> bool:
    """Whether this combination of the header, the plan's name aside, is kept for evaluation."""
    combination = f"{header(profile)} {is_team(profile)}".replace(f" plan={profile.plan} ", " ")
    return blake2b(combination.encode(), digest_size=2).digest()[0] % HELD_OUT_SHARE == 0


def is_team(profile: Profile) -> bool:
    """Whether the plan is one that a team shares."""
    return profile.plan in TEAM_PLANS


def families(profile: Profile) -> tuple[str, ...]:
    """The families that a script for `profile` must be made of, in order."""
    facts = profile.facts
    telling = _TELLING.get(profile.reason)
    observe = f"{profile.reason}_{telling}" if telling in facts else str(profile.reason)
    loss = profile.reason is Reason.FEATURE_LOSS
    recommend = profile.strategy is Strategy.RECOMMEND_FEATURE and "feature" in facts and not loss
    given = [slot for slot in ("offer", "link") if slot in facts]
    if given:
        close = "_".join([_CLOSE_OF[profile.strategy], *given])
    else:
        close = "team" if is_team(profile) else str(profile.strategy)
    return (
        "greet.name" if "name" in facts else "greet.anonymous",
        f"observe.{observe}",
        f"act.{profile.strategy}{'_feature' if recommend else ''}",
        f"close.{close}",
    )


def compose(profile: Profile, random: Random) -> str:
    """A script for `profile`: of the families that it needs, phrases whose slots are all given."""
    between = " " if profile.locale is Locale.EN else ""
    while True:
        greeting, *sentences = (_pick(profile, family, random).spell(random) for family in families(profile))
        script = greeting + between.join(sentences)
        if is_short(script, profile.locale) and says_once(script):
            return script


def is_short(script: str, locale: Locale) -> bool:
    """Whether `script` is to the point, and within the guard's limit with the longest facts there can be."""
    slots = slots_of(script)
    words = min(FACT_CHARS[locale], sum(WORD_CHARS.get(slot, 0) for slot in slots))
    numbers = NUMBER_CHARS * len(slots - WORD_CHARS.keys())
    own = own_chars(script)
    return own <= MAX_OWN_CHARS[locale] and own + words + numbers <= MAX_CHARS[locale]


def says_once(script: str) -> bool:
    """Whether `script` names the product, and no fact that is words more than once."""
    return "{{product}}" in script and all(script.count(f"{{{{{slot}}}}}") <= 1 for slot in WORD_CHARS)


def own_chars(script: str) -> int:
    """The characters of a script, slots left out."""
    return len(script) - sum(len(slot) + 4 for slot in slots_of(script))


def _pick(profile: Profile, family: str, random: Random) -> Phrase:
    usable = [phrase for phrase in phrases(profile.locale)[family] if phrase.slots <= profile.facts.keys()]
    return random.choice(usable)
