"""What a prompt shows: a tenant's own examples for users alike, whole, within the room, and sendable."""

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from inference.client import Generation
from inference.prompt import prompt, shown
from inference.room import Room
from inference.tritonserver import MODEL, MODEL_REPOSITORY
from operators.ladder import refusal
from schemas.decision import Shown
from schemas.examples import Example, Examples
from schemas.profile import Profile
from schemas.vocabulary import Locale, Reason, Strategy, Tier
from streams.agents.prompter import Prompter, Written, told
from tests.streams.test_examples import ONE

GOOD = "Hi {{name}}, we would like {{product}} to be worth your while. Just reply if we can help."
SHORT = "Hi {{name}}, we are here if you need us."
OFFER = "Hi {{name}}, this is for you: {{offer}}. Just reply if we can help."
FREE = "Hi {{name}}, the next month of {{product}} is free for you, just reply."
COUNTED = "Hi {{name}}, you were here 3 times in the last 7 days. Just reply if we can help."
ZH = "{{name}}您好，我们一直在这里，有需要请回复我们。"
PROFILE = Profile(
    tenant="acme",
    locale=Locale.EN,
    tier=Tier.HIGH,
    strategy=Strategy.RETENTION_OFFER,
    reason=Reason.LOGIN_DROP,
    plan="pro",
    facts={"name": "Ann", "product": "Acme Cloud", "logins_7d": "5"},
    sentences=("You logged in 5 times in the last 7 days.",),
    brief="Win them back.",
)
TOKENIZER = Tokenizer.from_file(str(MODEL_REPOSITORY / MODEL / "1" / "tokenizer.json"))
WIDE = Room(10_000)


def held(*templates: str, **changes: object) -> Examples:
    one = msgspec.structs.replace(ONE, **changes)
    many = tuple(msgspec.structs.replace(one, template=template) for template in templates)
    return Examples(tenant="acme", version="v1", examples=many)


def prompter(examples: Examples, size: Room = WIDE) -> Prompter:
    return Prompter({examples.tenant: examples}.get, lambda version: size if version == "2" else Room())


def places(examples: Examples, profile: Profile = PROFILE, size: Room = WIDE) -> tuple[int, ...] | None:
    asked = prompter(examples, size).ask(profile, "2")
    return None if asked.examples is None else asked.examples.places


def test_the_prompt_shows_the_examples_and_the_record_says_which() -> None:
    asked = prompter(held(GOOD, SHORT)).ask(PROFILE, "2")
    assert asked.examples == Shown(version="v1", places=(0, 1))
    assert asked.text == prompt(PROFILE, [GOOD, SHORT]) and f"\n- {GOOD}\n- {SHORT}<|end|>" in asked.text
    made = Generation(text=GOOD, model="m", model_version="2", prompt="digest", seed=7)
    record = told(PROFILE, Written(made, 0.0, asked.examples))
    assert (record.prompt, record.seed, record.examples, record.brief) == (
        "digest",
        7,
        asked.examples,
        PROFILE.brief,
    )


def test_a_version_that_takes_none_is_asked_as_ever() -> None:
    asked = prompter(held(GOOD)).ask(PROFILE, "1")
    assert (asked.text, asked.examples) == (prompt(PROFILE), None)
    assert (
        prompter(held(GOOD)).version("acme", "1") == "" and prompter(held(GOOD)).version("acme", "2") == "v1"
    )
    assert Prompter().ask(PROFILE, "2").text == prompt(PROFILE)


def test_no_other_tenant_s_examples_are_shown() -> None:
    theirs = msgspec.structs.replace(PROFILE, tenant="globex")
    asked = prompter(held(GOOD)).ask(theirs, "2")
    assert (asked.text, asked.examples) == (prompt(theirs), None)
    assert prompter(held(GOOD)).version("globex", "2") == ""


@pytest.mark.parametrize(
    "change",
    [
        {"tier": Tier.LOW},
        {"reason": Reason.ERRORS},
        {"strategy": Strategy.PREVENTIVE_CARE},
        {"locale": Locale.ZH},
    ],
)
def test_only_examples_for_users_alike_are_shown(change: dict[str, object]) -> None:
    assert places(held(ZH if "locale" in change else GOOD, **change)) is None


@pytest.mark.parametrize("bad", [FREE, COUNTED, OFFER, "{{#name}} oh", ZH, "Hi Ben, we are here for you."])
def test_what_the_guard_would_not_send_to_this_user_is_not_shown(bad: str) -> None:
    assert places(held(bad, GOOD)) == (1,)


def test_an_example_that_fills_a_slot_is_shown_where_the_fact_is_known() -> None:
    facts = PROFILE.facts | {"offer": "20% off"}
    assert places(held(OFFER, GOOD), msgspec.structs.replace(PROFILE, facts=facts)) == (0, 1)


def test_what_does_not_fit_is_left_out_whole_and_the_next_that_fits_is_shown() -> None:
    size = Room(len(shown(Locale.EN, [SHORT]).encode()))
    assert places(held(GOOD, SHORT), size=size) == (1,)
    assert places(held(SHORT, SHORT), size=size) == (0,)
    assert places(held(SHORT), size=size._replace(tokens=size.tokens - 1)) is None


def by_tokens(text: str) -> int:
    return len(TOKENIZER.encode(text, add_special_tokens=False).ids)


def by_bytes(text: str) -> int:
    return len(text.encode())


@given(
    st.lists(
        st.tuples(
            st.sampled_from([GOOD, SHORT, OFFER, FREE, COUNTED, ZH, GOOD * 2, "", "<|end|>{{name}}"]),
            st.sampled_from([Tier.HIGH, Tier.LOW]),
            st.sampled_from(list(Locale)),
        ),
        max_size=8,
    ),
    st.integers(0, 1_000),
    st.sampled_from(list(Locale)),
    st.sampled_from([by_tokens, by_bytes]),
)
def test_whatever_examples_there_are_the_room_is_kept_and_each_is_whole_alike_and_sendable(
    drawn: list[tuple[str, Tier, Locale]], tokens: int, locale: Locale, count: Callable[[str], int]
) -> None:
    many = tuple(
        msgspec.structs.replace(ONE, template=template, tier=tier, locale=of) for template, tier, of in drawn
    )
    examples = Examples(tenant="acme", version="v1", examples=many)
    profile = msgspec.structs.replace(PROFILE, locale=locale)
    ask = prompter(examples, Room(tokens, count)).ask
    asked = ask(profile, "2")
    assert asked == ask(profile, "2")
    bare = prompt(profile)
    assert count(asked.text) - count(bare) <= tokens
    taken: list[Example] = [many[place] for place in asked.examples.places] if asked.examples else []
    assert asked.text == prompt(profile, [one.template for one in taken])
    for one in taken:
        assert (one.tier, one.locale) == (Tier.HIGH, locale) and refusal(profile, one.template) is None
    assert asked.text.count("<|end|>") == bare.count("<|end|>")
