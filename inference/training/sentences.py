"""What the encoder tells about a user, made up: the sentences after the prompt's header.

Trained with, so that the small model is not led astray by them; it takes its bearings from the header.
"""

from random import Random

from schemas.vocabulary import Locale, Reason

_MAX_SENTENCES = 4
_UNITS = {
    "hour": {Locale.EN: " hours", Locale.ZH: "小时"},
    "time": {Locale.EN: " times", Locale.ZH: "次"},
    "use": {Locale.EN: " uses", Locale.ZH: "次"},
}
_DAYS = {Locale.EN: " days", Locale.ZH: "天"}
TEXTS = {
    "hours_down": {
        Locale.EN: "You were active for {now} in the last 7 days, usually about {usual} a week: "
        "your activity is down.",
        Locale.ZH: "过去7天活跃{now}，平时每周约{usual}，您近期活跃度有所下降。",
    },
    "hours_steady": {
        Locale.EN: "You were active for {now} in the last 7 days, about as much as usual.",
        Locale.ZH: "过去7天活跃{now}，与平时相当。",
    },
    "logins_down": {
        Locale.EN: "You logged in {now} in the last 7 days, usually about {usual} a week: "
        "you log in less often.",
        Locale.ZH: "过去7天登录{now}，平时每周约{usual}，您近期登录频率有所下降。",
    },
    "logins_up": {
        Locale.EN: "You logged in {now} in the last 7 days, usually about {usual} a week: "
        "you log in more often.",
        Locale.ZH: "过去7天登录{now}，平时每周约{usual}，您近期登录频率有所上升。",
    },
    "logins_steady": {
        Locale.EN: "You logged in {now} in the last 7 days, about as often as usual.",
        Locale.ZH: "过去7天登录{now}，您的登录频率保持稳定。",
    },
    "uses_down": {
        Locale.EN: "You used features {now} in the last 7 days, usually about {usual} a week: "
        "you use them less.",
        Locale.ZH: "过去7天使用功能{now}，平时每周约{usual}，您近期使用有所减少。",
    },
    "uses_up": {
        Locale.EN: "You used features {now} in the last 7 days, usually about {usual} a week: "
        "you use them more.",
        Locale.ZH: "过去7天使用功能{now}，平时每周约{usual}，您近期使用有所增加。",
    },
    "uses_steady": {
        Locale.EN: "You used features {now} in the last 7 days, about as often as usual.",
        Locale.ZH: "过去7天使用功能{now}，与平时相当。",
    },
    "quiet": {Locale.EN: "You have not been active for {days}.", Locale.ZH: "您已有{days}没有活动。"},
    "feature_lost": {
        Locale.EN: "You have not used {feature}, your favourite feature, in the last 7 days.",
        Locale.ZH: "您最常用的功能“{feature}”在过去7天没有使用过。",
    },
    "feature": {
        Locale.EN: "Your favourite feature is {feature}.",
        Locale.ZH: "您最常用的功能是“{feature}”。",
    },
    "errors": {
        Locale.EN: "{now} failed in the last 7 days, {percent}% of all: something seems to be in your way.",
        Locale.ZH: "过去7天有{now}操作出错，占{percent}%，您可能遇到了困难。",
    },
    "support": {
        Locale.EN: "You wrote to customer service {now} in the last 7 days: you may need help.",
        Locale.ZH: "过去7天联系客服{now}，您可能需要帮助。",
    },
    "days": {
        Locale.EN: "You were active on {days} of the last 7.",
        Locale.ZH: "过去7天有{days}活跃。",
    },
    "tenure": {
        Locale.EN: "You have been a customer for {days}.",
        Locale.ZH: "您成为客户已有{days}。",
    },
}
"""The encoder's own wording: a test fails where the two part."""
_OF_REASON = {
    Reason.LOGIN_DROP: "logins_down",
    Reason.USAGE_DROP: "uses_down",
    Reason.FEATURE_LOSS: "feature_lost",
    Reason.ERRORS: "errors",
    Reason.SUPPORT: "support",
    Reason.INACTIVE: "quiet",
}
_OWN_REASON, _ANY_REASON = 0.8, 0.3
"""The share of profiles whose reason is told first, and of the others those that are told a wrong one."""


def told(random: Random, locale: Locale, reason: Reason, feature: str) -> tuple[str, ...]:
    """None to four sentences: mostly the reason's own first, and others that may point elsewhere."""
    keys = random.sample(sorted(TEXTS.keys() - _OF_REASON.values()), k=random.randrange(_MAX_SENTENCES))
    own = _OF_REASON.get(reason)
    if own is not None and random.random() < _OWN_REASON:
        keys.insert(0, own)
    elif random.random() < _ANY_REASON:
        keys.insert(0, random.choice(list(_OF_REASON.values())))
    return tuple(_fill(key, random, locale, feature) for key in keys)


def _fill(key: str, random: Random, locale: Locale, feature: str) -> str:
    few = random.randrange(2, 40)
    unit = _UNITS["hour" if key.startswith("hours") else "use" if key == "errors" else "time"][locale]
    return TEXTS[key][locale].format(
        now=f"{few}{unit}",
        usual=f"{few + random.randrange(200)}{unit}",
        days=f"{random.randrange(2, 30)}{_DAYS[locale]}",
        percent=random.randrange(20, 100),
        feature=feature,
    )
