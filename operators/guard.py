"""What may be said: judges a script, as the user would get it, by the facts it was written from.

The facts that are words (name, product, feature, offer, link) are taken out of the text first; what
is left must state nothing that only a fact may state. Numbers are held against the facts and the
encoded sentences, together with what they count. Rules lean to the strict side: a script that
is refused costs a rung of the ladder, one that promises too much costs a customer.
"""

import re
import unicodedata
from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from operators.quantities import UNKNOWN, quantities
from schemas.errors import GuardFailed
from schemas.profile import SLOTS, Profile
from schemas.vocabulary import Locale

MAX_CHARS = {Locale.EN: 320, Locale.ZH: 160}
MIN_CHARS = {Locale.EN: 20, Locale.ZH: 8}
MAX_FACT_CHARS = {"name": 32, "product": 40, "feature": 40, "offer": 100, "link": 120}
"""The longest value of each slot that holds words; all others hold numbers."""


class Rule(StrEnum):
    """What a script was found to break."""

    LENGTH = "length"
    CONTROL = "control"
    MARKUP = "markup"
    PLACEHOLDER = "placeholder"
    LINK = "link"
    CONTACT = "contact"
    LEAK = "leak"
    NUMBER = "number"
    PROMISE = "promise"
    LANGUAGE = "language"


class Violation(NamedTuple):
    """A rule that a text breaks, and the words that break it."""

    rule: Rule
    excerpt: str


def _any(*patterns: str, case: bool = False) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.ASCII if case else re.ASCII | re.IGNORECASE)


# Private use characters: no text that passes the control rule holds them.
_NAME, _FACT = "\ue000", "\ue001"

_MARKUP = _any(r"[<>{}\[\]\\|`*_^]", r"~~", r"^\s*#", r"&[a-z]+;", r"&#")
_PLACEHOLDER = _any(
    r"\b(?:todo|tbd|null|undefined|nan|lorem|ipsum|placeholder|x{2,})\b",
    r"\b(?:your|customer|user|first|last) ?name\b",
    r"【[^】]*】|(?:某某|姓名|X先生|X女士)",
)
_NONE = _any(r"\bNone\b(?! of)", r"\bN/A\b", case=True)
_LINK = _any(
    r"[a-z][a-z0-9+.-]*://", r"\b(?:www\.|mailto:|tel:|javascript:)", r"[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b"
)
_WHOLE_LINK = _any(
    r"https?://[a-z0-9-]+(?:[.:][a-z0-9-]+)*(?:[/?#](?:[\w.~%!$&()+,;=:@/?#-]*[\w/=])?)?",
)
_CONTACT = _any(
    r"\S*@\S*", r"\+?\(?\d(?:[\d ()-]{5,})\d", r"\b(?:whatsapp|telegram|wechat id)\b", r"微信号|加微信|QQ"
)
_LEAK = _any(
    r"\b[\w-]{25,}\b",
    r"\b(?=[a-f]*\d)[a-f0-9]{8,}\b",
    r"\b(?:user|uid|id)[#:]\s?\w+",
)
_FRIENDS = "there|again|everyone|all|and|from|to|it|this|we|friend|team|in|at|on|for|with|is|just"
# Common ones that begin no everyday word.
_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭林罗郑梁宋唐邓冯韩曹彭萧蔡潘田董袁余叶杜苏魏"
    "吕丁沈姚卢傅钟姜崔谭廖范汪陆戴贾韦邱侯邹熊孟秦阎薛尹段龚邵钱严莫孔汤"
)
_GREETING = re.compile(
    rf"(?i:\b(?:hi|hello|hey|dear) (?!(?:{_FRIENDS})\b)[^\W\d_][\w'-]*)"
    r"|\b(?:Hi|Hello|Hey|Dear), ?[A-Z][\w'-]+(?=[,.!])"
    rf"|(?:您好|你好)[,、 ]?[{_SURNAMES}][\u4e00-\u9fff]{{1,2}}(?=[,!:])"
    r"|(?:亲爱的|尊敬的)(?:[\u4e00-\u9fff]{2,4}|[A-Za-z]+)"
    rf"|^(?:[{_SURNAMES}][\u4e00-\u9fff]{{1,2}}|(?!(?i:hi|hello|hey)\b)[A-Za-z][\w ]*)"
    r"[,!、 ]?(?=您好|你好)"
    r"|[\u4e00-\u9fff](?:先生|女士|小姐)"
)
_KINDLY = re.compile(r"(?:亲爱的|尊敬的)(?:用户|客户|朋友|顾客|伙伴|会员)")
_OPENING = _any(r"^[A-Z][a-z'-]+(?: [A-Z][a-z'-]+)?(?=, )", case=True)
_OPENINGS = frozenset(
    {"Hi", "Hello", "Hey", "Thanks", "Today", "Sorry", "Still", "Also", "So", "Well", "Here", "Yes", "No"}
    | {"Now", "First", "Again", "Welcome", "Sometimes"}
)
_NUMERIC = ("Nl", "No")  # numbers that are no digits: Ⅳ, ½, ①
_MONEY = _any(
    r"[$€£¥₩₹₽]", r"[%‰]", r"\bper ?cent\b", "百分之", "百分百", r"[\ue000\ue001]\s?(?:元|块|折|倍)"
)
_PROMISE_EN = _any(
    r"(?<!\bfeel )\bfree\b(?! (?:to|up)\b)",
    r"\b(?:refund|guarant|reimburs|rebate|cash ?back|money.?back|compensat|waive|discount|coupon|voucher)\w*",
    r"\b(?:promo\w*|complimentary|gift|bonus|credits?|trial|unlimited|lifetime|cheap\w*|half.?price)\b",
    r"\bpromis(?:e|es|ed)\b|\b(?:special|lower|reduced|best) (?:price|rate)s?\b|\bdeals?\b(?! with)",
    r"\bno (?:extra |additional )?(?:charge|cost)s?\b|\bon (?:us|the house)\b|\bsave (?:up to|money)\b",
    r"\b(?:an?|this|the|our|your|special|exclusive|limited)(?: [\w-]+)? offers?\b|\blimited.time\b",
    r"\bwe(?:'ll|’ll| will| can) (?:give|grant|extend|credit|upgrade|pay|include|double|add)\b",
)
_PROMISE_ZH = _any(
    "免费|免单|退款|退费|退还|退钱|全额|保证|担保|承诺|保障您|包您|补偿|赔偿|赔付|终身|试用",
    "打折|折扣|折后|优惠|特价|半价|降价|减免|立减|满减|代金|抵扣|抵用|券|无限量|限时|限量",
    "红包|返现|返利|赠送|附赠|送您|送你|奉送|礼品|礼包|礼物|大礼",
    r"[\d一二三四五六七八九]\s?折|(?:将|会|可|可以)(?:为您|给您)?(?:免|赠|延长|升级|增加额度)",
)
_SLOT_UNITS = {"logins_7d": "time", "active_hours_7d": "hour", "usual_hours": "hour", "quiet_days": "day"}
_COMMON_EN = frozenset(
    {"the", "you", "your", "we", "our", "and", "is", "are", "to", "for", "with", "have", "it", "if", "this"}
    | {"that", "can", "here", "there", "be", "of", "or", "when", "us"}
)
_LETTER = re.compile(r"[^\W_\u3040-\u30ff\u3400-\u9fff]")
"""A letter or digit of a script that sets words apart."""
_BEFORE_LINK, _AFTER_LINK = re.compile(r"[\w@./-]"), re.compile(r"[\w@%~+-]|[/?#&=.:]+\w|/")
_NOTHING = re.compile(r"(?!)")
"""Matches nowhere."""


def check(text: str, profile: Profile) -> None:
    """Nothing, when `text` may be sent.

    Raises:
        GuardFailed: it may not; the error's text names each rule and the words that break it.
    """
    found = violations(text, profile)
    if found:
        raise GuardFailed("; ".join(f"{rule}: {excerpt!r}" for rule, excerpt in found))


def violations(text: str, profile: Profile) -> tuple[Violation, ...]:
    """Everything in `text` that the facts do not allow, in the order of the rules.

    >>> from schemas.vocabulary import Reason, Strategy, Tier
    >>> profile = Profile(
    ...     tenant="acme", locale=Locale.EN, tier=Tier.LOW, strategy=Strategy.RECOMMEND_FEATURE,
    ...     reason=Reason.STEADY, plan="pro", sentences=(),
    ...     facts={"name": "Ann", "product": "Office365", "logins_7d": "3"},
    ... )
    >>> for found in violations("Hi Ann, use Office365 3 days for free at evil.com!", profile):
    ...     print(*found, sep=": ")
    link: evil.com
    number: 3 days
    promise: free
    >>> violations("Hi Ann, you logged in to Office365 3 times in the last 7 days.", profile)
    ()
    """
    return tuple(dict.fromkeys(Violation(rule, excerpt[:40]) for rule, excerpt in _found(text, profile)))


@lru_cache(maxsize=4096)  # asked of each fact when it is taken up and when it is judged
def may_state(slot: str, value: str) -> bool:
    """Whether `value` is fit to fill `slot` in front of a user. What is not never becomes a fact.

    Names and features come from users and their software: they may carry neither links nor markup,
    numbers or promises. The product and the offers are the tenant's own words.

    >>> [may_state("name", name) for name in ("Ann O’Hara", "王小明", "<b>Ann</b>", "evil.com")]
    [True, True, False, False]
    """
    plain = _normal(value)
    if slot not in SLOTS or not plain.strip() or any(_control(value)):
        return False
    if slot not in MAX_FACT_CHARS:
        return re.fullmatch(r"\d{1,3}(?:,\d{3})+|\d+(?:\.\d)?万?", plain, re.ASCII) is not None
    if len(value) > MAX_FACT_CHARS[slot]:
        return False
    if slot == "link":
        return _WHOLE_LINK.fullmatch(plain) is not None
    if _MARKUP.search(plain) or "@" in plain or "://" in plain or not any(map(str.isalnum, plain)):
        return False
    if slot == "product":
        return True
    if _LINK.search(plain):
        return False
    return slot == "offer" or _is_plain_name(slot, plain)


def _is_plain_name(slot: str, value: str) -> bool:
    """Whether the name of a person or a feature is one: letters, and for features digits after them."""
    if any(
        rule.search(value)
        for rule in (_MONEY, _PROMISE_EN, _PROMISE_ZH, _PLACEHOLDER, _NONE, _CONTACT, _LEAK)
    ):
        return False
    if not value[0].isalpha() or (slot == "name" and len(value.split()) > 4):
        return False
    marks = " '’.·-" if slot == "name" else " '’.·-+/&()"
    return all(
        unicodedata.category(c)[0] in "LM" or c in marks or (slot == "feature" and c.isdigit()) for c in value
    )


def _found(text: str, profile: Profile) -> Iterator[tuple[Rule, str]]:
    locale = profile.locale
    if not MIN_CHARS[locale] <= len(text) <= MAX_CHARS[locale]:
        yield Rule.LENGTH, f"{len(text)} characters"
    if len(text) > 10 * MAX_CHARS[locale]:
        return  # no script at all: not worth the time to judge
    yield from ((Rule.CONTROL, f"U+{ord(c):04X}") for c in _control(text))
    rest = _without_facts(_normal(text), profile)
    yield from ((Rule.CONTROL, f"U+{ord(c):04X}") for c in rest if _is_mark(c))
    for rule, pattern in (
        (Rule.MARKUP, _MARKUP),
        (Rule.PLACEHOLDER, _PLACEHOLDER),
        (Rule.PLACEHOLDER, _NONE),
        (Rule.LINK, _LINK),
        (Rule.CONTACT, _CONTACT),
        (Rule.LEAK, _LEAK),
    ):
        yield from ((rule, match[0]) for match in pattern.finditer(rest))
    yield from ((Rule.LEAK, greeting) for greeting in _greetings(rest))
    yield from ((Rule.NUMBER, number) for number in _numbers(text, rest, profile))
    for pattern in (_PROMISE_EN, _PROMISE_ZH):
        yield from ((Rule.PROMISE, match[0]) for match in pattern.finditer(rest))
    if not _is_in(locale, rest):
        yield Rule.LANGUAGE, rest


def _normal(text: str) -> str:
    """One spelling for what looks alike: full-width digits and letters become plain ones."""
    return unicodedata.normalize("NFKC", text)


def _control(text: str) -> Iterator[str]:
    """Characters that are not for reading. The zero-width joiner is, within an emoji."""
    if text.isprintable():  # most are, and this is told at once
        return iter(())
    return (c for c in text if unicodedata.category(c)[0] == "C" and c != "\u200d")


def _is_mark(c: str) -> bool:
    """Whether `c` is written over or under another character. One may choose how an emoji looks."""
    return unicodedata.category(c)[0] == "M" and c != "\ufe0f"


def _without_facts(text: str, profile: Profile) -> str:
    """`text` with each fact that is words replaced by one character, the longest first.

    A fact counts only whole: "Ann" is not in "Anna", nor https://acme.example in
    https://acme.example.evil.com.
    """
    facts = [(slot, _normal(value)) for slot, value in profile.facts.items() if may_state(slot, value)]
    for slot, value in sorted(facts, key=lambda fact: -len(fact[1])):
        if slot in MAX_FACT_CHARS:
            mark = _NAME if slot == "name" else _FACT
            text = _replaced(text, value, mark, *_edges(slot, value))
    return text


def _edges(slot: str, value: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What a fact must not have just before it, and just after it, to be whole."""
    if slot == "link":
        return _BEFORE_LINK, _AFTER_LINK
    return (
        _LETTER if _LETTER.match(value) else _NOTHING,
        _LETTER if _LETTER.match(value[-1]) else _NOTHING,
    )


def _replaced(text: str, value: str, mark: str, before: re.Pattern[str], after: re.Pattern[str]) -> str:
    """`text` with `mark` for each `value`. (A pattern of each user's facts would take longer to compile than
    all others together to run.)"""
    parts, done, at = [], 0, text.find(value)
    while at >= 0:
        end = at + len(value)
        if before.match(text[at - 1 : at]) or after.match(text, end):
            at = text.find(value, at + 1)
            continue
        parts += [text[done:at], mark]
        done, at = end, text.find(value, end)
    return "".join((*parts, text[done:]))


def _greetings(rest: str) -> Iterator[str]:
    """Names that somebody is addressed by and that are not the user's own."""
    for match in _GREETING.finditer(_KINDLY.sub("", rest)):
        yield match[0]
    opening = _OPENING.match(rest)
    if opening and not opening[0].endswith("ly") and opening[0].split()[0] not in _OPENINGS:
        yield opening[0]


def _numbers(text: str, rest: str, profile: Profile) -> Iterator[str]:
    """Numbers, shares and sums of money that no fact states of what the text says they count."""
    allowed = {(q.value, q.unit) for sentence in profile.sentences for q in quantities(_normal(sentence))}
    for slot, unit in _SLOT_UNITS.items():
        if slot in profile.facts and may_state(slot, profile.facts[slot]):
            allowed |= {(q.value, unit) for q in quantities(profile.facts[slot])}
    values = {value for value, _ in allowed if value != UNKNOWN}
    if any(slot.endswith("_7d") for slot in profile.facts):
        allowed |= {(7.0, "day"), (1.0, "week")}
    found = quantities(rest)
    for q in found:
        if (q.value, q.unit) not in allowed and not (q.unit == "" and q.value in values):
            yield rest[q.start : q.end]
    stated = [range(q.start, q.end) for q in found if (q.value, q.unit) in allowed]
    yield from (m[0] for m in _MONEY.finditer(rest) if not any(m.start() in span for span in stated))
    known = "".join(profile.facts.values())
    yield from (c for c in text if unicodedata.category(c) in _NUMERIC and c not in known)


def _is_in(locale: Locale, rest: str) -> bool:
    """Whether what is left of a text is in the language of `locale`."""
    letters = [c for c in rest if c.isalpha()]
    latin = sum(1 for c in letters if unicodedata.name(c, "").startswith("LATIN"))
    if locale is Locale.ZH:
        han = sum(1 for c in letters if "\u3400" <= c <= "\u9fff")
        return han + latin == len(letters) and han >= 0.7 * len(letters) and han >= MIN_CHARS[Locale.ZH] / 2
    words = [word.strip(".,!?;:'\"()").lower() for word in rest.split()]
    common = sum(1 for word in words if word in _COMMON_EN)
    return latin == len(letters) and not re.search(r"[\u3000-\u303f]", rest) and common >= 0.05 * len(words)
