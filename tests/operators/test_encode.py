"""What the model is told of a user: telling sentences, and only facts that may be shown to anyone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators import guard, render, templates
from operators.encode import FACT_CHARS, SENTENCES, UNNAMED_PRODUCT, human, profile, sentences
from operators.features import DAY_MS, Features, compute
from schemas.events import Account, Event, Login, Support, Usage
from schemas.profile import SLOTS, Profile
from schemas.tenant import Offer, Tenant
from schemas.vocabulary import Locale, Strategy, Tier

NOW = 100 * DAY_MS
IDS: dict[str, Any] = {"tenant": "acme", "user_id": "u1"}
OFFERS = (
    Offer(
        strategy=Strategy.RETENTION_OFFER, text={Locale.EN: "20% off for 3 months", Locale.ZH: "3个月八折"}
    ),
)
ACME = Tenant(product="Acme", link="https://acme.example/back", offers=OFFERS)


def logins(*days_ago: float) -> list[Event]:
    return [Login(event_id=f"l{day}", ts=NOW - int(day * DAY_MS), **IDS) for day in days_ago]


def uses(feature: str, *days_ago: float) -> list[Event]:
    return [
        Usage(event_id=f"{feature}{day}", ts=NOW - int(day * DAY_MS), feature=feature, **IDS)
        for day in days_ago
    ]


FADED = logins(1, 2, 3, *(7 + n / 3 for n in range(1, 60)))


def of(events: list[Event], recent: int = 3, usual: float = 18.0) -> Features:
    return compute(events, account=None, as_of_ms=NOW, recent=recent, prior=59, usual=usual)


def made(found: Features, tier: Tier = Tier.HIGH, tenant: Tenant = ACME, **account: Any) -> Profile:
    event = Account(event_id="a", ts=0, **IDS, **account)
    return profile(found, tenant_id="acme", tenant=tenant, tier=tier, account=event)


def test_fewer_logins_are_told_in_chinese() -> None:
    told = sentences(of(FADED), Locale.ZH, None)
    assert "过去7天登录3次，平时每周约18次，您近期登录频率有所下降。" in told[:2]


def test_fewer_logins_are_told_in_english() -> None:
    told = sentences(of(FADED), Locale.EN, None)
    assert (
        "You logged in 3 times in the last 7 days, usually about 18 times a week: you log in less often."
        in told[:2]
    )


def test_a_profile_has_the_facts_that_are_known() -> None:
    found = made(of(FADED), name="王小明", locale="zh-CN", plan="pro")
    assert (found.locale, found.strategy, found.plan) == (Locale.ZH, Strategy.RETENTION_OFFER, "pro")
    assert found.facts == {
        "product": "Acme",
        "offer": "3个月八折",
        "name": "王小明",
        "link": "https://acme.example/back",
        "logins_7d": "3",
        "active_hours_7d": "3",
        "usual_hours": "18",
    }


def test_an_offer_belongs_to_its_strategy() -> None:
    assert "offer" not in made(of(FADED), tier=Tier.LOW).facts


def test_a_favourite_feature_is_named_in_words() -> None:
    found = made(of([*FADED, *uses("bulk_export", *range(8, 20))]))
    assert found.facts["feature"] == "bulk export"
    assert "You have not used bulk export, your favourite feature, in the last 7 days." in found.sentences


def test_what_the_store_does_not_know_is_not_told() -> None:
    found = made(of([], recent=3))
    assert "logins_7d" not in found.facts and "quiet_days" not in found.facts
    assert found.facts["active_hours_7d"] == "3"


def test_days_of_silence_are_a_fact_from_two_on() -> None:
    assert "quiet_days" not in made(of(logins(1.9), recent=1)).facts
    assert made(of(logins(2.5), recent=1)).facts["quiet_days"] == "2"


def test_support_and_errors_come_first_where_they_stand_out() -> None:
    messages: list[Event] = [
        Support(event_id=f"s{n}", ts=NOW - n * DAY_MS, text="?", **IDS) for n in range(1, 4)
    ]
    told = sentences(of([*logins(1, 2, 3), *messages], usual=4.0), Locale.EN, None)
    assert told[0] == "You wrote to customer service 3 times in the last 7 days: you may need help."


def test_one_is_written_as_one() -> None:
    assert "You logged in 1 time in" in sentences(of(logins(1, *range(8, 15)), recent=1), Locale.EN, None)[1]


@pytest.mark.parametrize(
    ("number", "english", "chinese"), [(0, "0", "0"), (1234.5, "1,234", "1234"), (1e6, "1,000,000", "100万")]
)
def test_numbers_are_written_as_people_do(number: float, english: str, chinese: str) -> None:
    assert (human(number, Locale.EN), human(number, Locale.ZH)) == (english, chinese)


@pytest.mark.parametrize(
    "name",
    [
        "<b>Ann</b>",
        "Ann\nBcc: all",
        "{{offer}}",
        "evil.com",
        "Ann@evil.com",
        "$$$",
        "Free Bitcoin",
        "\u202eAnn",
        "免费",
        "https://evil.example",
        "<|start|>",
        "Ann 50",
        "A" * 33,
        " ",
    ],
)
def test_a_hostile_name_is_no_fact(name: str) -> None:
    assert "name" not in made(of(FADED), name=name).facts


@pytest.mark.parametrize(
    "name", ["Ann", "José María", "O’Neil-Smith Jr.", "王小明", "Ægir", "অনন্যা", "J. R. R. Tolkien"]
)
def test_a_name_is_a_fact_in_any_script(name: str) -> None:
    assert made(of(FADED), name=name).facts["name"] == name


def test_a_product_that_cannot_be_shown_goes_unnamed() -> None:
    assert made(of(FADED), tenant=Tenant(product="<b>")).facts["product"] == UNNAMED_PRODUCT[Locale.EN]


HOSTILE = st.sampled_from(
    [
        "<script>",
        "{{link}}",
        "{{#name}}",
        "<|end|>",
        "evil.com",
        "https://evil.example/?a=b",
        "[a](b)",
        "\n\r\t",
        "100% free",
        "免费三个月",
        "\u202e",
        "\x00",
        "Ann",
        "王小明",
        "user@evil.example",
        "{{{name}}}",
        "50",
    ]
)
ANYTHING = st.text(max_size=60) | HOSTILE | st.builds(str.__add__, HOSTILE, st.text(max_size=10))


@given(
    st.sampled_from([("en", Locale.EN), ("zh", Locale.ZH)]),
    st.sampled_from(Tier),
    st.tuples(ANYTHING, ANYTHING, ANYTHING, ANYTHING, ANYTHING),
    st.integers(0, 20),
)
def test_every_template_passes_the_guard_whatever_the_facts_claim(
    language: tuple[str, Locale], tier: Tier, words: tuple[str, str, str, str, str], recent: int
) -> None:
    product, link, offer, name, feature = words
    offers = tuple(Offer(strategy=strategy, text=dict.fromkeys(Locale, offer)) for strategy in Strategy)
    tenant = Tenant(product=product, link=link, offers=offers)
    events = [*logins(*(n / 3 for n in range(recent))), *(uses(feature, *range(8, 20)) if feature else ())]
    found = made(of(events, recent=recent), tier, tenant, name=name, locale=language[0])
    text = render.render(templates.template_of(found), found.facts)
    assert guard.violations(text, found) == (), (text, found.facts)


@given(st.lists(st.floats(0.01, 30), max_size=40), st.integers(0, 40), st.sampled_from(Locale))
def test_a_profile_is_a_handful_and_short_enough(days: list[float], recent: int, locale: Locale) -> None:
    found = made(of([*logins(*days), *uses("export", *days)], recent=recent), locale=locale)
    assert 1 <= len(found.sentences) <= SENTENCES
    assert set(found.facts) <= set(SLOTS)
    words = [value for slot, value in found.facts.items() if slot in guard.MAX_FACT_CHARS]
    assert sum(map(len, words)) <= FACT_CHARS[locale]
