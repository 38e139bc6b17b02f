"""Quantities are read as people write them, in digits and in words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.quantities import UNKNOWN, quantities


def read(text: str) -> list[tuple[float, str]]:
    return [(q.value, q.unit) for q in quantities(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("two hundred and fifty dollars", [(250, "money")]),
        ("twenty-one days", [(21, "day")]),
        ("three thousand two hundred uses", [(3200, "time")]),
        ("one month", [(1, "month")]),
        ("3 more weeks", [(3, "week")]),
        ("a 7-day plan", [(7, "day")]),
        ("1,234.5%", [(1234.5, "percent")]),
        ("no one, one of us, one more time", []),
        ("someone often weighs stone", []),
        ("hundreds of people", [(UNKNOWN, "")]),
        ("on 2024.01.02", [(UNKNOWN, "")]),
        ("Office365", [(UNKNOWN, "")]),
    ],
)
def test_english(text: str, found: list[tuple[float, str]]) -> None:
    assert read(text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("二百五十元", [(250, "money")]),
        ("一万两千三百次", [(12300, "time")]),
        ("二〇二四年", [(2024, "year")]),
        ("三个多小时", [(3, "")]),
        ("三个小时", [(3, "hour")]),
        ("半年", [(0.5, "year")]),
        ("七折", [(7, "discount")]),
        ("1.2万次", [(12000, "time")]),
        ("几十位", [(UNKNOWN, "")]),
        ("一起试一次，十分感谢，万一有一个问题，千万别急", []),
        ("第一次，每一天", []),
    ],
)
def test_chinese(text: str, found: list[tuple[float, str]]) -> None:
    assert read(text) == found


@given(st.integers(0, 10**9))
def test_every_whole_number_is_read_in_digits(number: int) -> None:
    assert read(f"about {number:,} times") == [(number, "time")]


@given(st.integers(1, 9999))
def test_every_number_is_read_in_chinese(number: int) -> None:
    digits, numeral = "零一二三四五六七八九", ""
    for scale, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = number // scale % 10
        if digit:
            numeral += digits[digit] + name
        elif numeral and number % scale and not numeral.endswith("零"):
            numeral += "零"
    if number == 1:
        return
    assert read(f"{numeral}次") == [(number, "time")]
