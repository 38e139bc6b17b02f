"""A rubric for retention messages: six questions, each answered by a rule, none by taste.

It is ours and it is deterministic. It says whether a message does what this project asks of one; it does not
say that a person likes it. Only outcomes can.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from schemas.profile import Profile
from schemas.vocabulary import Locale, Reason, Tier

SHORT_CHARS = {Locale.EN: 200, Locale.ZH: 80}
"""Up to here a message is short; it may have twice as many characters, for half a point."""
_OWN = ("name", "feature", "logins_7d", "active_hours_7d", "usual_hours", "quiet_days")
"""The facts that are the user's own: product, offer and link are the tenant's."""


def _either(english: str, chinese: str) -> dict[Locale, re.Pattern[str]]:
    return {Locale.EN: re.compile(english, re.IGNORECASE), Locale.ZH: re.compile(chinese)}


# Words that speak of a reason, of what either author wrote for it: a test holds them against all of that.
_OF_REASON = {
    Reason.LOGIN_DROP: _either(
        r"\blog(?:ged|ins?)?\b|\bsign(?:ed|ing)? in|\bopen(?:ed|ing)?\b|\bvisits?\b|\bless (?:of|often)"
        r"|seen .*\bless\b|drop in|routine|slipped|missed you",
        "登录|打开|上线|来得|来过|来访|习惯|[来去]_少|见到您|少见您|您常?会来",
    ),
    Reason.USAGE_DROP: _either(
        r"\bus(?:e|ed|ing|age)\b|active hours|\bslow(?:ed|er)?\b|less (?:time|active)|quieter|in the way"
        r"|(?:do|work)ing (?:noticeably )?less|\bpace\b|\bdoing all\b|its place",
        "使用|用得|在用|活跃|时长|节奏|做的事|用法|用_|帮不上",
    ),
    Reason.FEATURE_LOSS: _either(
        r"\bused to\b|no longer|has changed|something (?:about|change)|\bmissing\b|not used|moved (?:on|away)"
        r"|\bfavou?rite|stopped using|\bfaded|dropped away|gone quiet|not (?:come up|opened)"
        r"|last (?:us|open)ed",
        "曾经|曾是|以前|常用|不再|没再|没有再|变了|变化|没用|用得少|习惯|日常操作|用惯|顺手|上次使用",
    ),
    Reason.ERRORS: _either(
        r"\berrors?\b|\bfail\w*|did not (?:work|go)|\bbroke\b|went wrong|go(?:ne|es)? wrong|smoothly",
        "错误|出错|报错|些错|失败|故障|没能成功|没有成功|没能完成|不顺利",
    ),
    Reason.SUPPORT: _either(
        r"\bsupport\b|\bwr(?:ote|iting|itten)\b|\byour messages?\b|customer service|asked (?:us|for)"
        r"|needed help|time to tell us",
        "客服|联系(?:了|过)?(?:我们|团队)|来信|写信|咨询|反馈|求助|留言|沟通",
    ),
    Reason.INACTIVE: _either(
        r"\bquiet\b|\bwhile\b|not (?:seen|been)|\baway\b|\bcome back|start again|welcome back|missed you"
        r"|last (?:visit|saw)|waiting for|silence",
        "安静|好久|许久|一阵子|一段时间|没有来|没来|没有见|没见|等到|回来|上次来",
    ),
}
_TROUBLE = (Reason.ERRORS, Reason.SUPPORT)
"""What a message to a user to whom nothing has happened does not speak of."""
# What a message may ask for besides following its link.
_STEPS = (
    _either(
        r"\breply|\btell us|\blet us know|\bwrite (?:to )?us|\bwrite back|\bsay (?:yes|so)|\bhear\b"
        r"|\banswer\b",
        "回复|告诉我们|回信|回音|回个话|说一声|讲讲|说说|直说|留言|找我们",
    ),
    _either(
        r"\btry\b|\bexplore\b|(?:have|take) a look|\bstart (?:with|again|here)|\bopen _ first",
        "试试|一试|不妨|值得(?:再)?看",
    ),
)
_CARING = _either(
    r"\bsorry\b|\bhelp|\bglad\b|\bunderstand|\blisten|\bthank|\bput (?:it|this) right|\bhear\b|\bcare\b"
    r"|\bwelcome",
    "抱歉|帮|愿意|理解|倾听|谢|听听|陪|欢迎|在意|心意",
)
_ALARMING = _either(
    r"\bleav(?:e|ing)\b|\blos(?:e|ing|t) you|\bgoodbye|\bcancel|\blet you down|\bgive us another",
    "离开|失去您|再见|取消|告别|最后",
)
_CALM = (Tier.VERY_LOW, Tier.LOW)


class Marks(NamedTuple):
    """What a message gets for each question, 0 to 1."""

    personal: float
    specific: float
    next_step: float
    tone: float
    length: float
    variety: float

    @property
    def total(self) -> float:
        """The sum, 0 to 6."""
        return sum(self)


def marks(text: str, profile: Profile, to_others: Iterable[str]) -> Marks:
    """What `text`, as the user of `profile` would get it, is worth by the rubric.

    - personal: two of the user's own facts are in it (half a point for one);
    - specific: it speaks of the user's reason; where the reason is `steady`, of no trouble;
    - next_step: it asks for just one thing: to write, to follow the link, or to try something (half a point
      where it asks for more);
    - tone: to users who do well it says nothing alarming; to the others it has a caring word;
    - length: at most `SHORT_CHARS` (half a point up to twice as many);
    - variety: no message to an alike user, `to_others`, says the same once the facts are taken out.

    >>> from schemas.vocabulary import Strategy
    >>> ann = Profile(tenant="acme", locale=Locale.EN, tier=Tier.HIGH, strategy=Strategy.RETENTION_OFFER,
    ...     reason=Reason.ERRORS, plan="pro", facts={"product": "Acme", "name": "Ann"}, sentences=())
    >>> marks("Ann, sorry about the errors in Acme. Reply, and we help.", ann, [])
    Marks(personal=0.5, specific=1.0, next_step=1.0, tone=1.0, length=1.0, variety=1.0)
    """
    locale, plain = profile.locale, without_facts(text, profile)
    own = sum(_states(text, profile.facts[slot]) for slot in _OWN if slot in profile.facts)
    steps = sum(bool(step[locale].search(plain)) for step in _STEPS)
    steps += "link" in profile.facts and _states(text, profile.facts["link"])
    caring = bool(_CARING[locale].search(plain))
    alarming = bool(_ALARMING[locale].search(plain))
    return Marks(
        personal=min(own, 2) / 2,
        specific=float(_is_specific(plain, profile)),
        next_step=(0.0, 1.0, 0.5, 0.5)[steps],
        tone=float(not alarming if profile.tier in _CALM else caring),
        length=_shortness(len(text), SHORT_CHARS[locale]),
        variety=float(plain not in to_others),
    )


def without_facts(text: str, profile: Profile) -> str:
    """`text` with a mark for each fact in it, the longer ones first: what is said to everybody alike.

    >>> from schemas.vocabulary import Strategy
    >>> ann = Profile(tenant="acme", locale=Locale.EN, tier=Tier.LOW, strategy=Strategy.RECOMMEND_FEATURE,
    ...     reason=Reason.STEADY, plan="pro", facts={"product": "Acme", "name": "Ann"}, sentences=())
    >>> without_facts("Ann, Acme is here.", ann)
    '_, _ is here.'
    """
    for value in sorted(profile.facts.values(), key=len, reverse=True):
        text = _whole(value).sub("_", text)
    return text


def purity(text: str, profile: Profile) -> float:
    """The share of letters, facts left out, that belong to the locale's script; 1 where there are none."""
    letters = [c for c in without_facts(text, profile) if c.isalpha()]
    han = sum("\u4e00" <= c <= "\u9fff" for c in letters)
    right = han if profile.locale is Locale.ZH else sum(c.isascii() for c in letters)
    return right / len(letters) if letters else 1.0


def _is_specific(plain: str, profile: Profile) -> bool:
    locale = profile.locale
    if profile.reason is Reason.STEADY:
        return not any(_OF_REASON[reason][locale].search(plain) for reason in _TROUBLE)
    return bool(_OF_REASON[profile.reason][locale].search(plain))


def _states(text: str, value: str) -> bool:
    return bool(value) and _whole(value).search(text) is not None


def _whole(value: str) -> re.Pattern[str]:
    """`value` where it is not a part of a longer number or Latin word."""
    before = r"(?<![0-9A-Za-z])" if value[:1].isascii() else ""
    after = r"(?![0-9A-Za-z])" if value[-1:].isascii() else ""
    return re.compile(before + re.escape(value) + after)


def _shortness(chars: int, short: int) -> float:
    return 1.0 if chars <= short else 0.5 if chars <= 2 * short else 0.0
