"""Quantities in text: digits, Chinese numerals and English number words, with what they count."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

UNKNOWN = -1.0
"""The value of what is plainly a number and yet cannot be read, such as a date: no fact equals it."""

_UNITS = {
    "day": ("day", "days", "天", "日"),
    "hour": ("hour", "hours", "hr", "hrs", "小时", "钟头"),
    "minute": ("minute", "minutes", "min", "mins", "分钟"),
    "second": ("seconds", "secs", "秒"),
    "week": ("week", "weeks", "周", "星期", "礼拜"),
    "month": ("month", "months", "月"),
    "year": ("year", "years", "年"),
    "time": ("time", "times", "login", "logins", "use", "uses", "次", "回"),
    "percent": ("percent", "%", "‰", "成"),
    "money": (
        *("dollar", "dollars", "euro", "euros", "pounds", "cents", "bucks", "usd", "eur", "rmb", "cny"),
        *("元", "块", "美元", "美金", "欧元", "人民币", "角"),
    ),
    "discount": ("折",),
    "double": ("倍",),
}
_UNIT_OF = {word: unit for unit, words in _UNITS.items() for word in words}
_UNIT_EN = "|".join(sorted((w for w in _UNIT_OF if w.isascii() and w != "%"), key=len, reverse=True))
_UNIT_ZH = "|".join(sorted((w for w in _UNIT_OF if not w.isascii()), key=len, reverse=True))
# A word may stand between the number and what it counts: "3 active hours".
_AFTER = re.compile(
    r"\s?(?:%|‰)"
    rf"|(?:\s|-)(?:[a-z]+\s)?(?:{_UNIT_EN})(?![a-z])"
    rf"|\s?[多余来几]?个?(?:{_UNIT_ZH})",
    re.IGNORECASE,
)
_COUNTED_ZH = "人位名项种条款套份台件家步点个张篇封级"

_DIGITS = re.compile(r"\d+(?:[.,]\d+)*")
_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")
_SCALES_ZH = {"十": 10, "百": 100, "千": 1_000, "万": 10_000, "亿": 100_000_000}
_DIGITS_ZH = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_NUMERALS_ZH = re.compile(rf"[几数]?[{''.join(_DIGITS_ZH)}{''.join(_SCALES_ZH)}]+|半(?=[价年月天周])")
_FORMAL_ZH = str.maketrans("壹贰叁肆伍陆柒捌玖拾佰仟", "一二三四五六七八九十百千")
_IDIOMS_ZH = {"千万", "万一", "一一", "万千", "万万", "百千"}

_SMALL_EN = (
    {"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8}
    | {"nine": 9, "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15}
    | {"sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30}
    | {"forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
)
_SCALES_EN = {"dozen": 12, "hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 10**9}
_OTHER_EN = {"half": 0.5, "twice": 2.0, "thrice": 3.0}
_WORD_EN = "|".join((*_SMALL_EN, *(f"{scale}s?" for scale in _SCALES_EN), *_OTHER_EN))
_WORDS_EN = re.compile(
    rf"(?<![a-z])(?:{_WORD_EN})(?:(?:\s|-|\sand\s)(?:{_WORD_EN}))*(?![a-z])", re.IGNORECASE
)


class Quantity(NamedTuple):
    """A number in a text: its value, what it counts ("" where nothing known), and where it stands."""

    value: float
    unit: str
    start: int
    end: int


@lru_cache(maxsize=4096)  # users share most of the sentences that are told of them
def quantities(text: str) -> tuple[Quantity, ...]:
    """The quantities that `text` (in normal form NFKC) states.

    Words that are numbers by form alone are none: "one" of "no one", 一 of 一起, 十 of 十分.

    >>> [(q.value, q.unit) for q in quantities("3 active hours in the last seven days, 50% of 1,200")]
    [(3.0, 'hour'), (50.0, 'percent'), (1200.0, ''), (7.0, 'day')]
    >>> [(q.value, q.unit) for q in quantities("过去7天登录十二次，一起看看，八折，1.2万元")]
    [(7.0, 'day'), (12000.0, 'money'), (12.0, 'time'), (8.0, 'discount')]
    """
    return (*_digits(text), *_numerals_zh(text), *_words_en(text))


def _digits(text: str) -> Iterator[Quantity]:
    for match in _DIGITS.finditer(text):
        value = float(match[0].replace(",", "")) if _GROUPED.fullmatch(match[0]) else UNKNOWN
        end = match.end()
        while end < len(text) and text[end] in _SCALES_ZH:
            value, end = value * _SCALES_ZH[text[end]], end + 1
        if _is_letter(text, match.start() - 1) or _is_letter(text, end):
            value = UNKNOWN
        unit, end = _unit(text, end)
        yield Quantity(value, unit, match.start(), end)


def _numerals_zh(text: str) -> Iterator[Quantity]:
    text = text.translate(_FORMAL_ZH)
    for match in _NUMERALS_ZH.finditer(text):
        numeral = match[0]
        if text[max(0, match.start() - 1) : match.start()].isdigit():
            continue  # 万 of 1.2万, which has been read
        value = _read_zh(numeral)
        unit, end = _unit(text, match.end())
        if numeral == "一" and text[max(0, match.start() - 1) : match.start()] in ("第", "每"):
            continue
        counted = bool(unit) or text[match.end() : match.end() + 1] in tuple(_COUNTED_ZH)
        if numeral == "一" and unit in ("", "time"):
            continue  # an article: 一次, 一个
        if counted or (len(numeral) > 1 and numeral not in _IDIOMS_ZH):
            yield Quantity(value, unit, match.start(), end)


def _words_en(text: str) -> Iterator[Quantity]:
    for match in _WORDS_EN.finditer(text):
        unit, end = _unit(text, match.end())
        if match[0].lower() == "one" and unit in ("", "time"):
            continue  # a pronoun or an article: one of us, one more time
        yield Quantity(_read_en(match[0].lower()), unit, match.start(), end)


def _unit(text: str, at: int) -> tuple[str, int]:
    """What is counted by the number that ends at `at`, and where that word ends."""
    after = _AFTER.match(text, at)
    if after is None:
        return "", at
    word = re.split(r"[\s-]", after[0].lower())[-1]
    while word not in _UNIT_OF:
        word = word[1:]  # 多 and 个 before the unit
    return _UNIT_OF[word], after.end()


def _is_letter(text: str, at: int) -> bool:
    """Whether a Latin letter stands at `at`: the number is then part of a name or a code."""
    return 0 <= at < len(text) and text[at].isascii() and text[at].isalpha()


def _read_zh(numeral: str) -> float:
    """The value of a Chinese numeral; `UNKNOWN` where it is not formed as one, or vague (几十)."""
    if numeral == "半":
        return 0.5
    if any(c not in _DIGITS_ZH and c not in _SCALES_ZH for c in numeral):
        return UNKNOWN
    if len(numeral) > 1 and all(c in _DIGITS_ZH for c in numeral):
        return float("".join(str(_DIGITS_ZH[c]) for c in numeral))
    total = section = digit = 0
    for c in numeral:
        if c in _DIGITS_ZH:
            digit = _DIGITS_ZH[c]
        elif _SCALES_ZH[c] < 10_000:
            section, digit = section + (digit or 1) * _SCALES_ZH[c], 0
        else:
            total, section, digit = total + ((section + digit) or 1) * _SCALES_ZH[c], 0, 0
    return float(total + section + digit)


def _read_en(words: str) -> float:
    total = current = 0.0
    for word in re.split(r"[\s-]", words):
        single = word.removesuffix("s")
        if word in _OTHER_EN:
            current += _OTHER_EN[word]
        elif word in _SMALL_EN:
            current += _SMALL_EN[word]
        elif single in _SCALES_EN:
            if word != single:
                return UNKNOWN  # hundreds
            current = (current or 1) * _SCALES_EN[single]
            if current >= 1_000:
                total, current = total + current, 0.0
    return total + current
