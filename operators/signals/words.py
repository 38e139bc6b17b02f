"""Reasons in words: what a signal says of a user, in Chinese and English, with the number behind it.

Only signals that a person can make sense of have a sentence; the effects of the others are told by those of
their kin, which move with them. Sentences are about the user, for the record and for the model that writes.
"""

from collections.abc import Iterable
from math import inf
from typing import NamedTuple

from schemas.vocabulary import Locale

LEAST_EFFECT = 0.05
"""An effect smaller than this, in log-odds, is not worth a sentence."""


class Sentence(NamedTuple):
    """What is said of a signal, and of which `topic`: a topic is spoken of once."""

    topic: str
    en: str
    zh: str


def _same(topic: str, en: str, zh: str, *names: str) -> dict[str, Sentence]:
    return {name: Sentence(topic, en, zh) for name in names}


_QUIET = ("quiet", "Last active {value} days ago", "最近一次活跃在{value}天前")
SENTENCES: dict[str, Sentence] = {
    **_same(*_QUIET, "quiet"),
    "quiet_of_uses": Sentence(
        "uses", "Last used a feature {value} days ago", "最近一次使用功能在{value}天前"
    ),
    "quiet_of_logins": Sentence("logins", "Last logged in {value} days ago", "最近一次登录在{value}天前"),
    "quiet_to_mean_gap": Sentence(
        "quiet", "Quiet for {value} times the user's usual pause", "沉默时长是该用户平时间隔的{value}倍"
    ),
    "quiet_to_longest_gap": Sentence(
        "quiet", "Quiet for {value} times the user's longest pause", "沉默时长是该用户最长间隔的{value}倍"
    ),
    "known_for": Sentence("age", "First seen {value} days ago, within 30", "30天内首次出现在{value}天前"),
    "span_of_activity": Sentence("age", "Active over a span of {value} days", "活跃时间跨度为{value}天"),
    "longest_gap": Sentence("gaps", "The longest pause was {value} days", "最长间隔为{value}天"),
    "mean_gap": Sentence("gaps", "Usually {value} days between active days", "平均每隔{value}天活跃一次"),
    "spread_of_gaps": Sentence(
        "gaps", "Pauses vary by {value} days around their mean", "活跃间隔的波动为{value}天"
    ),
    "active_weeks": Sentence("days", "Active in {value} of the last 4 weeks", "最近4周中有{value}周活跃"),
    "active_days_worst_week": Sentence(
        "days", "{value} active days in the weakest of 4 weeks", "4周中最少的一周活跃{value}天"
    ),
    **{
        f"active_days_{days}d": Sentence(
            "days", f"{{value}} active days in the last {days}", f"过去{days}天活跃{{value}}天"
        )
        for days in (3, 7, 14, 30)
    },
    **{
        f"active_hours_{days}d": Sentence(
            "hours", f"{{value}} active hours in the last {days} days", f"过去{days}天活跃{{value}}小时"
        )
        for days in (3, 7, 14, 30)
    },
    "streak": Sentence("streak", "Active {value} days in a row", "连续活跃{value}天"),
    "longest_streak": Sentence("streak", "At most {value} active days in a row", "最多连续活跃{value}天"),
    "days_to_usual": Sentence(
        "trend", "{value} times the usual active days this week", "本周活跃天数为平时的{value}倍"
    ),
    "hours_to_usual": Sentence(
        "trend", "{value} times the usual active hours this week", "本周活跃小时数为平时的{value}倍"
    ),
    "days_gained": Sentence(
        "trend", "{value} active days more than in the week before", "比前一周多活跃{value}天"
    ),
    "logins_7d": Sentence("logins", "{value} logins in the last 7 days", "过去7天登录{value}次"),
    "logins_30d": Sentence("logins", "{value} logins in the last 30 days", "过去30天登录{value}次"),
    "logins_to_usual": Sentence(
        "logins", "{value} times the usual logins this week", "本周登录次数为平时的{value}倍"
    ),
    "longest_stay": Sentence("stays", "Logged in for at most {value} hours", "单次登录最长{value}小时"),
    "longest_absence": Sentence("absence", "Away for at most {value} days", "最长离开{value}天"),
    "away_to_longest_absence": Sentence(
        "absence", "Away now for {value} times the longest absence", "本次离开时长是最长离开的{value}倍"
    ),
    "there_30d": Sentence(
        "stays", "Logged in or active for a share of {value} of 30 days", "30天内在线时间占比{value}"
    ),
    "hours_away": Sentence("away", "Away for {value} hours", "已离开{value}小时"),
    "hours_away_to_longest": Sentence(
        "away", "Away now for {value} times the longest absence", "本次离开时长是最长离开的{value}倍"
    ),
    "days_there": Sentence(
        "days", "Logged in or active on {value} of 30 days", "30天中有{value}天在线或活跃"
    ),
    "median_absence": Sentence("absence", "Usually away for {value} hours", "通常离开{value}小时"),
    "logouts_a_day_there": Sentence(
        "logouts", "{value} logouts a day logged in", "在线期间平均每天登出{value}次"
    ),
    "idle_days": Sentence(
        "uses",
        "Logged in without using anything on a share of {value} of the active days",
        "登录却未使用的天数占比{value}",
    ),
    "uses_7d": Sentence("uses", "{value} uses in the last 7 days", "过去7天使用{value}次"),
    "uses_30d": Sentence("uses", "{value} uses in the last 30 days", "过去30天使用{value}次"),
    "uses_to_usual": Sentence(
        "uses", "{value} times the usual uses this week", "本周使用次数为平时的{value}倍"
    ),
    "use_days_30d": Sentence("uses", "Used something on {value} of 30 days", "30天中有{value}天使用功能"),
    "breadth_30d": Sentence("breadth", "{value} different features in 30 days", "30天内使用{value}种功能"),
    "errors_7d": Sentence("errors", "{value} uses failed in the last 7 days", "过去7天有{value}次操作出错"),
    "error_rate": Sentence("errors", "A share of {value} of the uses failed", "操作出错占比{value}"),
    "messages_7d": Sentence(
        "support", "{value} messages to customer service in 7 days", "过去7天联系客服{value}次"
    ),
    "since_message": Sentence(
        "support", "Last wrote to customer service {value} days ago", "最近一次联系客服在{value}天前"
    ),
    "lowest_sentiment": Sentence(
        "support", "A message to customer service of sentiment {value}", "客服消息的情感值低至{value}"
    ),
    "tenure": Sentence("account", "A customer for {value} days", "成为客户已{value}天"),
    "seats": Sentence("account", "{value} seats", "席位数{value}"),
}
BY_VALUE = {
    "signed_out": {
        1: Sentence("left", "Signed out last", "最后主动登出"),
        -1: Sentence("left", "The connection ended last, by itself", "最后一次连接自动断开"),
    },
    "state": {
        1: Sentence("left", "Still logged in", "目前仍处于登录状态"),
        -1: Sentence("left", "Logged out", "目前已登出"),
    },
    "favourite_lost": {1: Sentence("favourite", "Stopped using a favourite feature", "已停用常用功能")},
}

STAYING = {
    **dict.fromkeys(("days_to_usual", "hours_to_usual", "logins_to_usual", "uses_to_usual"), 1.0),
    **{"days_gained": 0.0, "logins_7d": 7.0, "logins_30d": 30.0, "longest_streak": 7.0},
}
"""More than this reads as of a user who stays: whatever the model makes of it, no sentence says it."""


def reasons(effects: Iterable[tuple[str, float, float]], locale: Locale, most: int = 3) -> tuple[str, ...]:
    """The strongest of what raises the risk as sentences, at most `most`.

    `effects` are (signal, value, effect in log-odds).

    >>> some = [("active_days_30d", 12.0, -1.2), ("quiet_to_mean_gap", 3.2, 0.4), ("quiet", 6.5, 0.9)]
    >>> reasons(some, Locale.EN)
    ('Last active 6.5 days ago',)
    >>> reasons(some, Locale.ZH)
    ('最近一次活跃在6.5天前',)
    >>> reasons([("days_to_usual", 6.0, 1.1), ("days_to_usual", 0.2, 0.4)], Locale.EN)
    ('0.2 times the usual active days this week',)
    """
    said: dict[str, str] = {}
    for name, value, effect in sorted(effects, key=lambda each: -each[2]):
        sentence = SENTENCES.get(name) or BY_VALUE.get(name, {}).get(round(value))
        if sentence is None or sentence.topic in said or effect < LEAST_EFFECT:
            continue
        if value > STAYING.get(name, inf):
            continue
        text = sentence.zh if locale is Locale.ZH else sentence.en
        said[sentence.topic] = text.format(value=_shown(value))
        if len(said) == most:
            break
    return tuple(said.values())


def _shown(value: float) -> str:
    """Two digits that matter, and no exponent: counts above 10 are whole."""
    if abs(value) >= 10:
        return f"{value:.0f}"
    return f"{value:.1f}".removesuffix(".0") if abs(value) >= 1 else f"{value:.2f}".rstrip("0").rstrip(".")
