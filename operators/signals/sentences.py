"""The sentences that tell of signals, in Chinese and English, and of whom each is true.

>>> SENTENCES["quiet"][0].en.format(quiet=6)
'Last active 6 days ago'
"""

from collections.abc import Mapping
from math import inf
from typing import NamedTuple

from operators.signals.windows import DAYS

Bounds = tuple[float, float]
_NONE: Bounds = (0, 0)
_SOME: Bounds = (0.01, inf)
_ONE_AT_LEAST: Bounds = (1, inf)
_TWO_AT_LEAST: Bounds = (2, inf)
_EVER: Bounds = (1, DAYS - 0.01)
"""Of a time since something, which is all of the 30 days where it never was."""


class Sentence(NamedTuple):
    """What is said of users whose numbers are `within` bounds; a `topic` is spoken of once.

    Names in braces are of signals, or of numbers that `operators.signals.words` makes of them.
    """

    topic: str
    en: str
    zh: str
    within: Mapping[str, Bounds]


def _say(topic: str, en: str, zh: str, **within: Bounds) -> Sentence:
    return Sentence(topic, en, zh, within)


_LAST_ACTIVE = _say("quiet", "Last active {quiet} days ago", "最近一次活跃在{quiet}天前", quiet=_ONE_AT_LEAST)
_NO_USE = _say("uses", "No feature used in 30 days", "30天内未使用任何功能", uses_30d=_NONE)

SENTENCES: dict[str, tuple[Sentence, ...]] = {
    "quiet": (_LAST_ACTIVE,),
    "quiet_to_mean_gap": (
        _say(
            "quiet",
            "Last active {quiet} days ago, before that every {mean_gap} days on average",
            "最近一次活跃在{quiet}天前，此前平均每{mean_gap}天活跃一次",
            quiet=_ONE_AT_LEAST,
            quiet_to_mean_gap=_ONE_AT_LEAST,
            mean_gap=(1.5, DAYS - 1),
        ),
        _LAST_ACTIVE,
    ),
    "quiet_to_longest_gap": (
        _say(
            "quiet",
            "Last active {quiet} days ago, the active days before are at most {longest_gap} apart",
            "最近一次活跃在{quiet}天前，此前活跃日最多相隔{longest_gap}天",
            quiet=_ONE_AT_LEAST,
            quiet_to_longest_gap=_ONE_AT_LEAST,
            longest_gap=_TWO_AT_LEAST,
        ),
        _LAST_ACTIVE,
    ),
    "quiet_of_uses": (
        _say(
            "uses",
            "Last used a feature {quiet_of_uses} days ago",
            "最近一次使用功能在{quiet_of_uses}天前",
            quiet_of_uses=_EVER,
        ),
        _NO_USE,
    ),
    "quiet_of_logins": (
        _say(
            "logins",
            "Last logged in {quiet_of_logins} days ago",
            "最近一次登录在{quiet_of_logins}天前",
            quiet_of_logins=_EVER,
        ),
    ),
    "known_for": (
        _say(
            "age",
            "The first activity of the last 30 days was {known_for} days ago",
            "近30天内首次活跃在{known_for}天前",
            known_for=(1, 27),
            active_days_30d=_TWO_AT_LEAST,
        ),
    ),
    "span_of_activity": (
        _say(
            "age",
            "All activity of the last 30 days was within {span_of_activity} days",
            "近30天的活跃都在{span_of_activity}天之内",
            span_of_activity=(1, 14),
        ),
    ),
    "longest_gap": (
        _say(
            "gaps",
            "Up to {longest_gap} days from one active day to the next",
            "两次活跃之间最多相隔{longest_gap}天",
            longest_gap=_TWO_AT_LEAST,
        ),
    ),
    "mean_gap": (
        _say(
            "gaps",
            "Active every {mean_gap} days on average",
            "平均每{mean_gap}天活跃一次",
            mean_gap=_TWO_AT_LEAST,
            active_days_30d=_TWO_AT_LEAST,
        ),
    ),
    "spread_of_gaps": (
        _say(
            "gaps",
            "The pauses between active days vary by {spread_of_gaps} days around their mean",
            "活跃间隔的波动为{spread_of_gaps}天",
            spread_of_gaps=_ONE_AT_LEAST,
        ),
    ),
    "active_weeks": (
        _say("days", "Active in {active_weeks} of the last 4 weeks", "最近4周中有{active_weeks}周活跃"),
    ),
    "active_days_worst_week": (
        _say(
            "days",
            "{active_days_worst_week} active days in the weakest of 4 weeks",
            "4周中最少的一周活跃{active_days_worst_week}天",
        ),
    ),
    **{
        f"active_{unit}_{days}d": (
            _say(
                "days",
                f"{{active_{unit}_{days}d}} active {unit} in the last {days} days",
                f"过去{days}天活跃{{active_{unit}_{days}d}}{zh}",
            ),
        )
        for unit, zh in (("days", "天"), ("hours", "小时"))
        for days in (3, 7, 14, 30)
    },
    "longest_streak": (
        _say("streak", "At most {longest_streak} active days in a row", "最多连续活跃{longest_streak}天"),
    ),
    "days_to_usual": (
        _say(
            "trend",
            "{active_days_7d} active days in the last 7, {days_before} in the 23 before",
            "过去7天活跃{active_days_7d}天，此前23天活跃{days_before}天",
        ),
    ),
    "hours_to_usual": (
        _say(
            "trend",
            "{active_hours_7d} active hours in the last 7 days, {hours_before} in the 23 before",
            "过去7天活跃{active_hours_7d}小时，此前23天活跃{hours_before}小时",
        ),
    ),
    "days_gained": (
        _say(
            "trend",
            "{active_days_7d} active days in the last 7, {week_before} in the week before",
            "过去7天活跃{active_days_7d}天，再前一周活跃{week_before}天",
        ),
    ),
    "logins_7d": (
        _say(
            "logins",
            "{logins_7d} logins in the last 7 days",
            "过去7天登录{logins_7d}次",
            logins_30d=_ONE_AT_LEAST,
        ),
    ),
    "logins_30d": (
        _say(
            "logins",
            "{logins_30d} logins in the last 30 days",
            "过去30天登录{logins_30d}次",
            logins_30d=_ONE_AT_LEAST,
        ),
    ),
    "logins_to_usual": (
        _say(
            "logins",
            "{logins_7d} logins in the last 7 days, {logins_before} in the 23 before",
            "过去7天登录{logins_7d}次，此前23天登录{logins_before}次",
            logins_30d=_ONE_AT_LEAST,
        ),
    ),
    "state": (_say("left", "Logged out", "目前已登出", state=(-1, -1), connections=_NONE),),
    "signed_out": (
        _say("left", "Signed out last", "最后主动登出", signed_out=(1, 1), connections=_NONE),
        _say(
            "left",
            "The connection ended last, by itself",
            "最后一次连接自动断开",
            signed_out=(-1, -1),
            connections=_NONE,
        ),
    ),
    "longest_stay": (
        _say(
            "stays",
            "Logged in for at most {longest_stay} hours at a time",
            "单次登录最长{longest_stay}小时",
            longest_stay=_SOME,
        ),
    ),
    "there_30d": (
        _say(
            "stays",
            "Logged in or active {there_percent}% of the last 30 days",
            "过去30天中{there_percent}%的时间在线或活跃",
        ),
    ),
    "days_there": (
        _say("days", "Logged in or active on {days_there} of 30 days", "30天中有{days_there}天在线或活跃"),
    ),
    "hours_away": (
        _say("quiet", "Away for {hours_away} hours", "已离开{hours_away}小时", hours_away=(12, 47)),
        _say("quiet", "Away for {days_away} days", "已离开{days_away}天", hours_away=(48, inf)),
    ),
    "hours_away_to_longest": (
        _say(
            "quiet",
            "Away for {hours_away} hours, before that for at most {hours_away_before}",
            "已离开{hours_away}小时，此前最长离开{hours_away_before}小时",
            hours_away_to_longest=_ONE_AT_LEAST,
            hours_away_before=_TWO_AT_LEAST,
        ),
    ),
    "longest_absence": (
        _say(
            "absence",
            "Logged out for up to {longest_absence} days at a time",
            "单次登出最长{longest_absence}天",
            longest_absence=_ONE_AT_LEAST,
        ),
    ),
    "away_to_longest_absence": (
        _say(
            "quiet",
            "Logged out {state_for} days ago, before that for at most {longest_absence} days",
            "{state_for}天前登出，此前登出最长{longest_absence}天",
            away_to_longest_absence=_ONE_AT_LEAST,
            longest_absence=_SOME,
            connections=_NONE,
        ),
    ),
    "median_absence": (
        _say(
            "absence",
            "Usually away for {median_absence} hours",
            "通常离开{median_absence}小时",
            median_absence=_SOME,
        ),
    ),
    "idle_days": (
        _say(
            "uses",
            "Logged in without using anything on {idle_percent}% of the active days",
            "{idle_percent}%的活跃日只登录而未使用功能",
            idle_days=_SOME,
        ),
    ),
    "uses_7d": (_say("uses", "{uses_7d} uses in the last 7 days", "过去7天使用功能{uses_7d}次"),),
    "uses_30d": (
        _NO_USE,
        _say("uses", "{uses_30d} uses in the last 30 days", "过去30天使用功能{uses_30d}次"),
    ),
    "uses_to_usual": (
        _NO_USE,
        _say(
            "uses",
            "{uses_7d} uses in the last 7 days, {uses_before} in the 23 before",
            "过去7天使用功能{uses_7d}次，此前23天{uses_before}次",
        ),
    ),
    "use_days_30d": (
        _NO_USE,
        _say("uses", "Used something on {use_days_30d} of 30 days", "30天中有{use_days_30d}天使用功能"),
    ),
    "breadth_30d": (
        _NO_USE,
        _say("breadth", "{breadth_30d} different features in 30 days", "30天内使用{breadth_30d}种功能"),
    ),
    "favourite_lost": (
        _say("favourite", "Stopped using a favourite feature", "已停用常用功能", favourite_lost=(1, 1)),
    ),
    "errors_7d": (
        _say(
            "errors",
            "{errors_7d} uses failed in the last 7 days",
            "过去7天有{errors_7d}次操作出错",
            errors_7d=_SOME,
        ),
    ),
    "error_rate": (
        _say(
            "errors",
            "{error_percent}% of the uses failed in the last 7 days",
            "过去7天{error_percent}%的操作出错",
            error_rate=_SOME,
        ),
    ),
    "messages_7d": (
        _say(
            "support",
            "{messages_7d} messages to customer service in 7 days",
            "过去7天联系客服{messages_7d}次",
            messages_7d=_SOME,
        ),
    ),
    "since_message": (
        _say(
            "support",
            "Last wrote to customer service {since_message} days ago",
            "最近一次联系客服在{since_message}天前",
            since_message=(0, DAYS - 0.01),
        ),
    ),
    "lowest_sentiment": (
        _say(
            "support",
            "A message to customer service sounds negative: {lowest_sentiment}, where -1 is most so",
            "有一条客服消息语气负面：{lowest_sentiment}（最低为-1）",
            lowest_sentiment=(-1, -0.1),
        ),
    ),
    "tenure": (_say("account", "A customer for {tenure} days", "成为客户已{tenure}天", tenure=_SOME),),
    "seats": (_say("account", "{seats} seats", "席位数{seats}", seats=_SOME),),
}

STAYING = {
    **dict.fromkeys(("days_to_usual", "hours_to_usual", "logins_to_usual", "uses_to_usual"), 1.0),
    **{f"active_days_{days}d": most for days, most in ((3, 1.0), (7, 2.0), (14, 5.0), (30, 12.0))},
    **{f"active_hours_{days}d": float(days) for days in (3, 7, 14, 30)},
    **{"days_gained": -0.5, "active_weeks": 3.0, "active_days_worst_week": 2.0, "longest_streak": 3.0},
    **{"logins_7d": 1.0, "logins_30d": 4.0, "days_there": 12.0, "there_30d": 0.25},
    **{"uses_7d": 3.0, "uses_30d": 10.0, "use_days_30d": 12.0, "breadth_30d": 1.0},
}
"""More than this reads as of a user who stays: whatever the model makes of it, no sentence says it."""
