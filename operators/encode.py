"""Features to words: what the model is told about a user, and the facts that a script may state."""

from collections.abc import Iterator

from operators import guard
from operators.features import Features, reason_of
from operators.render import tidy
from schemas.events import Account
from schemas.policy import AS_EVER, Treatment
from schemas.profile import Profile
from schemas.tenant import Tenant
from schemas.vocabulary import Locale, Tier

SENTENCES = 5
"""How many sentences a profile has at most."""
FACT_CHARS = {Locale.EN: 170, Locale.ZH: 90}
"""What all the words among the facts may take of a script's length, in characters."""
UNNAMED_PRODUCT = {Locale.EN: "our service", Locale.ZH: "我们的服务"}
QUIET_DAYS = 2
"""From how many whole days without activity on a user counts as quiet."""

# By worth: where the words are too many for a script, the last ones go.
_WORDS = ("product", "offer", "name", "feature", "link")

# What changed by less than this, up or down, is told as steady.
_STEADY = 0.2

_TEXTS = {
    "hours_down": (
        "You were active for {now} in the last 7 days, usually about {usual} a week: your activity is down.",
        "过去7天活跃{now}，平时每周约{usual}，您近期活跃度有所下降。",
    ),
    "hours_steady": (
        "You were active for {now} in the last 7 days, about as much as usual.",
        "过去7天活跃{now}，与平时相当。",
    ),
    "logins_down": (
        "You logged in {now} in the last 7 days, usually about {usual} a week: you log in less often.",
        "过去7天登录{now}，平时每周约{usual}，您近期登录频率有所下降。",
    ),
    "logins_up": (
        "You logged in {now} in the last 7 days, usually about {usual} a week: you log in more often.",
        "过去7天登录{now}，平时每周约{usual}，您近期登录频率有所上升。",
    ),
    "logins_steady": (
        "You logged in {now} in the last 7 days, about as often as usual.",
        "过去7天登录{now}，您的登录频率保持稳定。",
    ),
    "uses_down": (
        "You used features {now} in the last 7 days, usually about {usual} a week: you use them less.",
        "过去7天使用功能{now}，平时每周约{usual}，您近期使用有所减少。",
    ),
    "uses_up": (
        "You used features {now} in the last 7 days, usually about {usual} a week: you use them more.",
        "过去7天使用功能{now}，平时每周约{usual}，您近期使用有所增加。",
    ),
    "uses_steady": (
        "You used features {now} in the last 7 days, about as often as usual.",
        "过去7天使用功能{now}，与平时相当。",
    ),
    "quiet": ("You have not been active for {days}.", "您已有{days}没有活动。"),
    "feature_lost": (
        "You have not used {feature}, your favourite feature, in the last 7 days.",
        "您最常用的功能“{feature}”在过去7天没有使用过。",
    ),
    "feature": ("Your favourite feature is {feature}.", "您最常用的功能是“{feature}”。"),
    "errors": (
        "{now} failed in the last 7 days, {percent}% of all: something seems to be in your way.",
        "过去7天有{now}操作出错，占{percent}%，您可能遇到了困难。",
    ),
    "support": (
        "You wrote to customer service {now} in the last 7 days: you may need help.",
        "过去7天联系客服{now}，您可能需要帮助。",
    ),
    "days": ("You were active on {days} of the last 7.", "过去7天有{days}活跃。"),
    "tenure": ("You have been a customer for {days}.", "您成为客户已有{days}。"),
}
_UNITS = {
    "hour": ("hour", "hours", "小时"),
    "day": ("day", "days", "天"),
    "time": ("time", "times", "次"),
    "use": ("use", "uses", "次"),
}


def profile(
    features: Features,
    *,
    tenant_id: str,
    tenant: Tenant,
    tier: Tier,
    account: Account | None,
    treatment: Treatment = AS_EVER,
) -> Profile:
    """All that a script for this user may be written from, in the user's language.

    `tier` is the one that the crossing led to, `treatment` what an experiment changes. Facts that are
    unknown, unfit to be shown to anyone, or too long for a script have no entry; `product` always has one.

    >>> from operators.features import compute
    >>> features = compute([], account=None, as_of_ms=0, recent=0, prior=23, usual=7.0)
    >>> ann = Account(event_id="a1", tenant="acme", user_id="u1", ts=0, name="Ann", plan="pro")
    >>> acme = Tenant(product="Acme")
    >>> made = profile(features, tenant_id="acme", tenant=acme, tier=Tier.HIGH, account=ann)
    >>> made.facts
    {'product': 'Acme', 'name': 'Ann', 'logins_7d': '0', 'active_hours_7d': '0', 'usual_hours': '7'}
    >>> made.sentences[0]
    'You were active for 0 hours in the last 7 days, usually about 7 hours a week: your activity is down.'
    """
    locale = Locale.of(None if account is None else account.locale)
    strategy = treatment.strategy or tier.strategy
    offer = tenant.offer(strategy, locale, treatment.offer)
    facts = _words(features, tenant, offer, account, locale) | _numbers(features, locale)
    return Profile(
        tenant=tenant_id,
        locale=locale,
        tier=tier,
        strategy=strategy,
        reason=reason_of(features),
        plan="free" if account is None else account.plan,
        facts=facts,
        sentences=sentences(features, locale, facts.get("feature")),
        brief=tenant.brief.get(strategy, {}).get(locale, ""),
    )


def sentences(features: Features, locale: Locale, feature: str | None) -> tuple[str, ...]:
    """The most telling features as sentences, the most telling first.

    `feature` is what to call the favourite feature; without it, it is not mentioned.
    """
    told = sorted(_candidates(features, locale, feature), key=lambda candidate: -candidate[0])
    return tuple(text for _, text in told[:SENTENCES])


def human(number: float, locale: Locale) -> str:
    """A number as people write it, rounded to a whole one.

    >>> human(12345.6, Locale.EN), human(12345.6, Locale.ZH), human(720, Locale.ZH)
    ('12,346', '1.2万', '720')
    """
    whole = round(number)
    if locale is Locale.ZH and whole >= 10_000:
        return f"{whole / 10_000:.1f}".removesuffix(".0") + "万"
    return f"{whole:,}" if locale is Locale.EN else str(whole)


def _words(
    features: Features, tenant: Tenant, offer: str | None, account: Account | None, locale: Locale
) -> dict[str, str]:
    """The facts that are words, as long as they leave a script room for its own."""
    known = {
        "product": tenant.product,
        "offer": offer,
        "name": None if account is None else account.name,
        "feature": features.favourite_feature and features.favourite_feature.replace("_", " "),
        "link": tenant.link,
    }
    facts: dict[str, str] = {}
    left = FACT_CHARS[locale]
    for slot in _WORDS:
        value = tidy(known[slot] or "")
        if not guard.may_state(slot, value):
            value = UNNAMED_PRODUCT[locale] if slot == "product" else ""
        if value and len(value) <= left:
            facts[slot] = value
            left -= len(value)
    return facts


def _numbers(features: Features, locale: Locale) -> dict[str, str]:
    facts = {
        "active_hours_7d": human(features.active_hours_7d, locale),
        "usual_hours": human(features.usual_hours, locale),
    }
    if features.sequence_is_whole:
        facts = {"logins_7d": human(features.logins_7d, locale), **facts}
        if (features.days_since_last_event or 0) >= QUIET_DAYS:
            facts["quiet_days"] = human(int(features.days_since_last_event or 0), locale)
    return facts


def _candidates(features: Features, locale: Locale, feature: str | None) -> Iterator[tuple[float, str]]:
    """Sentences that hold for the user, each with how much it tells: 0, nothing, to about 1."""

    def say(key: str, **words: str) -> str:
        return _TEXTS[key][locale is Locale.ZH].format(**words)

    def count(number: float, unit: str) -> str:
        one, many, zh = _UNITS[unit]
        shown = human(number, locale)
        return shown + zh if locale is Locale.ZH else f"{shown} {one if shown == '1' else many}"

    def trend(key: str, unit: str, now: int, usual: float) -> tuple[float, str]:
        change = now / usual - 1
        word = "down" if change < -_STEADY else "up" if change > _STEADY else "steady"
        telling = {"down": -change, "up": 0.3, "steady": 0.1}[word]
        return telling, say(f"{key}_{word}", now=count(now, unit), usual=count(usual, unit))

    share = features.activity
    hours = {"now": count(features.active_hours_7d, "hour"), "usual": count(features.usual_hours, "hour")}
    yield (
        (1 - share, say("hours_down", **hours))
        if share < 1 - _STEADY / 2
        else (0.2, say("hours_steady", **hours))
    )
    if features.tenure_days:
        yield 0.05, say("tenure", days=count(features.tenure_days, "day"))
    if not features.sequence_is_whole:
        return
    if features.usual_logins >= 1:
        yield trend("logins", "time", features.logins_7d, features.usual_logins)
    if features.usual_uses >= 1:
        yield trend("uses", "time", features.uses_7d, features.usual_uses)
    if features.active_days_7d:
        yield 0.08, say("days", days=count(features.active_days_7d, "day"))
    quiet = features.days_since_last_event
    if quiet is not None and quiet >= QUIET_DAYS:
        yield 0.6 + quiet / 60, say("quiet", days=count(int(quiet), "day"))
    if feature is not None:
        yield (
            (0.8, say("feature_lost", feature=feature))
            if features.favourite_lost
            else (
                0.15,
                say("feature", feature=feature),
            )
        )
    if features.errors_7d:
        percent = human(100 * features.error_rate_7d, locale)
        yield (
            0.5 + features.error_rate_7d,
            say("errors", now=count(features.errors_7d, "use"), percent=percent),
        )
    if features.support_messages_7d:
        messages = features.support_messages_7d
        yield min(1.0, 0.5 + messages / 5), say("support", now=count(messages, "time"))
