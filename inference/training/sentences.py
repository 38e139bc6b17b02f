"""What the encoder tells about a user, made up: the sentences after the prompt's header.

Trained with, so that the small model is not led astray by them; it takes its bearings from the header.
"""

from random import Random

from schemas.vocabulary import Locale, Reason

_MAX_SENTENCES = 4
_ANY = {
    Locale.EN: (
        "You were active for {n} hours in the last 7 days, usually about {m} hours a "
        "week: your activity has gone down.",
        "You were active for {n} hours in the last 7 days, about as much as usual.",
        "You logged in {n} times in the last 7 days, usually about {m} times a week: you "
        "have been logging in {less} often.",
        "You logged in {n} times in the last 7 days, about as often as usual.",
        "You used features {n} times in the last 7 days, usually about {m} times a week: "
        "you have been using them {less}.",
        "You used features {n} times in the last 7 days, about as often as usual.",
        "You were active on {d} days of the last 7.",
        "You have been a customer for {m} days.",
        "Your favourite feature is {feature}.",
    ),
    Locale.ZH: (
        "过去7天活跃{n}小时，平时每周约{m}小时，您近期活跃度有所下降。",
        "过去7天活跃{n}小时，与平时相当。",
        "过去7天登录{n}次，平时每周约{m}次，您近期登录频率有所{less}。",
        "过去7天登录{n}次，您的登录频率保持稳定。",
        "过去7天使用功能{n}次，平时每周约{m}次，您近期使用有所{less}。",
        "过去7天使用功能{n}次，与平时相当。",
        "过去7天有{d}天活跃。",
        "您成为客户已有{m}天。",
        "您最常用的功能是“{feature}”。",
    ),
}
_OF_REASON = {
    Locale.EN: {
        Reason.LOGIN_DROP: "You logged in {n} times in the last 7 days, usually about {m} times a week: "
        "you have been logging in less often.",
        Reason.USAGE_DROP: "You used features {n} times in the last 7 days, usually about {m} times a week: "
        "you have been using them less.",
        Reason.FEATURE_LOSS: "You have not used {feature}, your favourite feature, in the last 7 days.",
        Reason.ERRORS: "{n} uses failed in the last 7 days, {m}% of all: something seems to be in your way.",
        Reason.SUPPORT: "You wrote to customer service {d} times in the last 7 days: you may need help.",
        Reason.INACTIVE: "You have not been active for {n} days.",
    },
    Locale.ZH: {
        Reason.LOGIN_DROP: "过去7天登录{n}次，平时每周约{m}次，您近期登录频率有所下降。",
        Reason.USAGE_DROP: "过去7天使用功能{n}次，平时每周约{m}次，您近期使用有所减少。",
        Reason.FEATURE_LOSS: "您最常用的功能“{feature}”在过去7天没有使用过。",
        Reason.ERRORS: "过去7天有{n}次操作出错，占{m}%，您可能遇到了困难。",
        Reason.SUPPORT: "过去7天联系客服{d}次，您可能需要帮助。",
        Reason.INACTIVE: "您已有{n}天没有活动。",
    },
}
_LESS = {Locale.EN: ("less", "more"), Locale.ZH: ("下降", "上升", "减少", "增加")}
_FEATURES = (
    "export",
    "dashboard",
    "reports",
    "team chat",
    "import",
    "search",
    "报表",
    "看板",
    "导出",
    "message",
    "api",
)


def told(random: Random, locale: Locale, reason: Reason) -> tuple[str, ...]:
    """None to four sentences: mostly the reason's own first, and others that may point elsewhere."""
    sentences = random.sample(_ANY[locale], k=random.randrange(_MAX_SENTENCES))
    own = _OF_REASON[locale].get(reason)
    if own is not None and random.random() < 0.8:
        sentences.insert(0, own)
    elif random.random() < 0.3:
        sentences.insert(0, random.choice(list(_OF_REASON[locale].values())))
    return tuple(_fill(sentence, random, locale) for sentence in sentences)


def _fill(sentence: str, random: Random, locale: Locale) -> str:
    few = random.randrange(2, 40)
    return sentence.format(
        n=few,
        m=few + random.randrange(200),
        d=random.randrange(1, 8),
        less=random.choice(_LESS[locale]),
        feature=random.choice(_FEATURES),
    )
