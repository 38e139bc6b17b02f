"""Nothing passes the guard that no fact states; what people would send does."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators import render, templates
from operators.guard import MAX_CHARS, Rule, check, may_state, violations
from operators.quantities import quantities
from schemas.errors import GuardFailed
from schemas.profile import Profile
from schemas.vocabulary import Locale, Reason, Tier

EN = Profile(
    tenant="acme",
    locale=Locale.EN,
    tier=Tier.HIGH,
    strategy=Tier.HIGH.strategy,
    reason=Reason.LOGIN_DROP,
    plan="pro",
    facts={
        "name": "Ann",
        "product": "Office365",
        "feature": "bulk export",
        "offer": "20% off for 3 months",
        "link": "https://acme.example/back",
        "logins_7d": "3",
        "active_hours_7d": "2",
        "quiet_days": "5",
    },
    sentences=("You logged in 3 times in the last 7 days, usually about 12 times a week.",),
)
ZH = msgspec.structs.replace(
    EN,
    locale=Locale.ZH,
    facts={**EN.facts, "name": "王小明", "feature": "批量导出", "offer": "续费八折，为期3个月"},
    sentences=("过去7天登录3次，平时每周约12次，您近期登录频率有所下降。",),
)
PROFILES = {Locale.EN: EN, Locale.ZH: ZH}


def broken(text: str, profile: Profile) -> set[Rule]:
    return {rule for rule, _ in violations(text, profile)}


@pytest.mark.parametrize(
    "text",
    [
        "Hi Ann, you logged in to Office365 3 times in the last 7 days, usually 12 times a week.",
        "Hi Ann, you were active for two hours and away for five days. Is bulk export in your way?",
        "Hello again! Here is something for you: 20% off for 3 months. Details: https://acme.example/back.",
        "Hi there, no one of us likes to wait, so feel free to reply when it suits you.",
        "Hi Ann, to free up time for what matters, let us deal with the export together 🙂",
    ],
)
def test_what_the_facts_state_may_be_said_in_english(text: str) -> None:
    assert violations(text, EN) == ()


@pytest.mark.parametrize(
    "text",
    [
        "王小明，您好！过去7天您登录了3次，平时每周约十二次，需要帮忙吗？",
        "您好！为您准备了：续费八折，为期3个月。详情：https://acme.example/back。",
        "王小明您好，一起看看Office365的“批量导出”吧，十分感谢您一直以来的支持。",
        "亲爱的用户，您好！第一次使用批量导出时，万一遇到问题，千万别着急，回复一下就好～",
    ],
)
def test_what_the_facts_state_may_be_said_in_chinese(text: str) -> None:
    assert violations(text, ZH) == ()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", Rule.LENGTH),
        ("Hi Ann.", Rule.LENGTH),
        ("We are here for you. " * 20, Rule.LENGTH),
        ("Hi Ann, we are here\x00 for you.", Rule.CONTROL),
        ("Hi Ann, we are here\nfor you.", Rule.CONTROL),
        ("Hi Ann, we are here\u202e for you.", Rule.CONTROL),
        ("Hi Ann, we are he\u200bre for you.", Rule.CONTROL),
        ("Hi Ann, we a\u0336re here for you.", Rule.CONTROL),
        ("Hi Ann, we are <b>here</b> for you.", Rule.MARKUP),
        ("Hi Ann, we are **here** for you.", Rule.MARKUP),
        ("Hi Ann, we are [here](acme) for you.", Rule.MARKUP),
        ("Hi {{name}}, we are here for you.", Rule.MARKUP),
        ("Hi Ann, we are here for you.<|end|>", Rule.MARKUP),
        ("Hi Ann, we are here &amp; there for you.", Rule.MARKUP),
        ("Hi Ann, TODO: say that we are here for you.", Rule.PLACEHOLDER),
        ("Hi None, we are here for you.", Rule.PLACEHOLDER),
        ("Hi XX, we are here for you.", Rule.PLACEHOLDER),
        ("Hi Ann, see www.evil.example, it is for you.", Rule.LINK),
        ("Hi Ann, see evil.com, it is for you.", Rule.LINK),
        ("Hi Ann, see https://acme.example/back.evil.com for you.", Rule.LINK),
        ("Hi Ann, see https://acme.example/other, it is for you.", Rule.LINK),
        ("Hi Ann, see http://acme.example/back, it is for you.", Rule.LINK),
        ("Hi Ann, write to bob@acme.example, we are here for you.", Rule.CONTACT),
        ("Hi Ann, call +1 (555) 010-9999, we are here for you.", Rule.CONTACT),
        ("Hi Bob, we are here for you.", Rule.LEAK),
        ("Hi Anna, we are here for you.", Rule.LEAK),
        ("Hello Élodie, we are here for you.", Rule.LEAK),
        ("Bob Lee, we are here for you.", Rule.LEAK),
        ("Hi Ann, your id: QWERTZUIOP is here for you.", Rule.LEAK),
        ("Hi Ann, your key QWERTZUIOPASDFGHJKLYXCVBNM is here for you.", Rule.LEAK),
        ("Hi Ann, you logged in 4 times, we are here for you.", Rule.NUMBER),
        ("Hi Ann, you logged in four times, we are here for you.", Rule.NUMBER),
        ("Hi Ann, you were here on 3 days, we are here for you.", Rule.NUMBER),
        ("Hi Ann, you get half of it for the price.", Rule.NUMBER),
        ("Hi Ann, hundreds of people are here for you.", Rule.NUMBER),
        ("Hi Ann, it is ３６ to you, we are here for you.", Rule.NUMBER),
        ("Hi Ann, it is Ⅳ to you, we are here for you.", Rule.NUMBER),
        ("Hi Ann, it is ½ to you, we are here for you.", Rule.NUMBER),
        ("Hi Ann, Office366 is here for you.", Rule.NUMBER),
        ("Hi Ann, it is 3% for you, we are here.", Rule.NUMBER),
        ("Hi Ann, it is $3 for you, we are here.", Rule.NUMBER),
        ("Hi Ann, it is 20% off for you, we are here.", Rule.NUMBER),
        ("Hi Ann, this is free for you, we are here.", Rule.PROMISE),
        ("Hi Ann, we guarantee that you like it here.", Rule.PROMISE),
        ("Hi Ann, a refund is here for you.", Rule.PROMISE),
        ("Hi Ann, our special offer is here for you.", Rule.PROMISE),
        ("Hi Ann, we will upgrade you to the better plan.", Rule.PROMISE),
        ("Bonjour Ann, nous sommes là pour vous aider.", Rule.LANGUAGE),
        ("Hi Ann, we are here for you. 您好", Rule.LANGUAGE),
        ("Hi Ann, we are hеre for you, Cyrillic or not.", Rule.LANGUAGE),
    ],
)
def test_what_no_fact_states_is_found_in_english(text: str, rule: Rule) -> None:
    assert rule in broken(text, EN)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("您好", Rule.LENGTH),
        ("我们很乐意帮忙。" * 21, Rule.LENGTH),
        ("王小明，您好！您近期登录四次，需要帮忙吗？", Rule.NUMBER),
        ("王小明，您好！您近期登录了3天，需要帮忙吗？", Rule.NUMBER),
        ("王小明，您好！再送上三百元，需要帮忙吗？", Rule.NUMBER),
        ("王小明，您好！百分之五十的人都在用，需要帮忙吗？", Rule.NUMBER),
        ("王小明，您好！几十位同事都在用，需要帮忙吗？", Rule.NUMBER),
        ("王小明，您好！送上叁佰元，需要帮忙吗？", Rule.NUMBER),
        ("王小明，您好！再用一个月，需要帮忙吗？", Rule.NUMBER),
        ("王小明，您好！3折续费，需要帮忙吗？", Rule.PROMISE),
        ("王小明，您好！七折续费，需要帮忙吗？", Rule.PROMISE),
        ("王小明，您好！现在免费使用，需要帮忙吗？", Rule.PROMISE),
        ("王小明，您好！不满意就退款，需要帮忙吗？", Rule.PROMISE),
        ("王小明，您好！我们保证解决，需要帮忙吗？", Rule.PROMISE),
        ("王小明，您好！优惠券在等您，需要帮忙吗？", Rule.PROMISE),
        ("王小明，您好！请看evil.com，需要帮忙吗？", Rule.LINK),
        ("王小明，您好！请看https://acme.example/back详情，需要帮忙吗？", Rule.LINK),
        ("王小明，您好！请加微信，需要帮忙吗？", Rule.CONTACT),
        ("张伟，您好！我们很乐意帮忙。", Rule.LEAK),
        ("您好，张伟，我们很乐意帮忙。", Rule.LEAK),
        ("尊敬的张先生，我们很乐意帮忙。", Rule.LEAK),
        ("Bob，您好！我们很乐意帮忙。", Rule.LEAK),
        ("【姓名】您好！我们很乐意帮忙。", Rule.PLACEHOLDER),
        ("Hi Ann, we are here for you.", Rule.LANGUAGE),
        ("您好！We are glad to help you with it.", Rule.LANGUAGE),
    ],
)
def test_what_no_fact_states_is_found_in_chinese(text: str, rule: Rule) -> None:
    assert rule in broken(text, ZH)


@pytest.mark.parametrize(
    ("slot", "value"),
    [
        ("name", "<b>Ann</b>"),
        ("name", "evil.com"),
        ("feature", "90% off"),
        ("link", "javascript:alert()"),
        ("link", "https://acme.example/ x"),
        ("offer", "see evil.com"),
        ("logins_7d", "3 free months"),
    ],
)
def test_a_hostile_fact_covers_nothing(slot: str, value: str) -> None:
    assert not may_state(slot, value)
    profile = msgspec.structs.replace(EN, facts={**EN.facts, slot: value})
    assert violations(f"Hi there, here is {value} for you.", profile)


def test_a_name_in_another_script_is_no_other_language() -> None:
    profile = msgspec.structs.replace(EN, facts={**EN.facts, "name": "王小明"})
    assert violations("Hi 王小明, we are glad to help you with Office365.", profile) == ()


def test_check_says_what_was_found() -> None:
    check("Hi Ann, we are glad to help you.", EN)
    with pytest.raises(GuardFailed, match=r"^link: 'evil.com'; promise: 'free'$"):
        check("Hi Ann, it is free for you at evil.com today.", EN)


places = st.tuples(
    st.sampled_from([(locale, tier, reason) for locale in Locale for tier in Tier for reason in Reason]),
    st.floats(0, 1),
)


def with_inserted(place: tuple[tuple[Locale, Tier, Reason], float], words: str) -> tuple[str, Profile]:
    """A script that people wrote, shortened to leave room, and `words` put in somewhere."""
    (locale, tier, reason), where = place
    profile = PROFILES[locale]
    text = render.render(templates.template_for(locale, tier.strategy, reason), profile.facts)
    at = round(where * len(text))
    return text[:at] + words + text[at:], profile


STATED = {q.value for p in PROFILES.values() for q in quantities(" ".join((*p.facts.values(), *p.sentences)))}


@given(places, st.integers(0, 10**7).filter(lambda n: n not in STATED))
def test_an_invented_number_is_found_anywhere(
    place: tuple[tuple[Locale, Tier, Reason], float], number: int
) -> None:
    text, profile = with_inserted(place, f" {number} ")
    assert broken(text, profile) - {Rule.LENGTH}, text


@given(
    places,
    st.sampled_from(
        [
            "https://evil.example",
            "http://evil.com/a",
            " evil.com ",
            " www.evil.example ",
            "bob@evil.example",
            "<b>",
            "</p>",
            "[see](it)",
            "**",
            "{{name}}",
            "<|return|>",
            "`",
            "\u202e",
            "\x07",
            "&lt;",
        ]
    ),
)
def test_an_invented_link_or_markup_is_found_anywhere(
    place: tuple[tuple[Locale, Tier, Reason], float], words: str
) -> None:
    text, profile = with_inserted(place, words)
    assert broken(text, profile) - {Rule.LENGTH}, text


@given(
    places,
    st.sampled_from(
        [
            " a free month ",
            " 50% off ",
            " our exclusive offer ",
            " guaranteed ",
            " a full refund ",
            " half price ",
            "免费一个月",
            "五折",
            "全额退款",
            "保证解决",
            "赠送礼品",
            "$100",
            "€5",
            "限时优惠",
            "三十天",
        ]
    ),
)
def test_an_invented_offer_is_found_anywhere(
    place: tuple[tuple[Locale, Tier, Reason], float], words: str
) -> None:
    text, profile = with_inserted(place, words)
    assert broken(text, profile) - {Rule.LENGTH}, text


@given(st.text(max_size=400), st.sampled_from(Locale))
def test_no_text_breaks_the_guard_itself(text: str, locale: Locale) -> None:
    found = violations(text, PROFILES[locale])
    assert found or len(text) <= MAX_CHARS[locale]
