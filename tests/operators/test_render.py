"""Rendering fills known slots with text, and refuses everything else that Mustache could do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.render import flat, render, tidy
from schemas.errors import GuardFailed


def test_facts_are_put_in_as_plain_text() -> None:
    assert render("{{product}} & {{{feature}}}", {"product": "R&D <1>", "feature": "a&b"}) == "R&D <1> & a&b"


@given(st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1))
def test_a_fact_is_never_rendered_again(value: str) -> None:
    facts = {"name": value + "{{link}}", "link": "https://acme.example"}
    assert render("{{name}}", facts).startswith(tidy(value)[:1])
    assert "https" not in render("{{name}}", facts).removeprefix(value)


def test_a_section_depends_on_its_fact() -> None:
    template = "Hi{{#name}} {{name}}{{/name}}{{^name}} there{{/name}}"
    assert render(template, {"name": "Ann"}) == "Hi Ann"
    assert render(template, {}) == render(template, {"name": ""}) == "Hi there"


def test_zero_is_a_fact() -> None:
    assert render("{{#logins_7d}}{{logins_7d}} logins{{/logins_7d}}", {"logins_7d": "0"}) == "0 logins"


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("Hi {{name}}", "no fact: name"),
        ("Hi {{ name }} of {{link}}", "no fact: link, name"),
        ("Hi {{surname}}", "does not exist: surname"),
        ("{{#name}}Hi", "do not match"),
        ("Hi{{/name}}", "do not match"),
        ("{{#name}}{{#link}}{{/name}}{{/link}}", "do not match"),
        ("{{> secrets}}", "neither a slot nor a section"),
        ("{{=<% %>=}}<% name %>", "neither a slot nor a section"),
        ("{{! a comment }}", "neither a slot nor a section"),
        ("Hi {{name", "neither a slot nor a section"),
        ("Hi name}}", "neither a slot nor a section"),
        ("{{name.__class__}}", "neither a slot nor a section"),
        ("{{}}", "neither a slot nor a section"),
        ("a" * 2001, "at most 2000"),
    ],
)
def test_anything_but_known_slots_is_refused(template: str, why: str) -> None:
    with pytest.raises(GuardFailed, match=why):
        render(template, {"product": "Acme"})


@given(st.text("{}#^/&>=! nameproduct", max_size=40))
def test_no_template_breaks_it_otherwise(template: str) -> None:
    try:
        text = render(template, {"name": "Ann", "product": "Acme"})
    except GuardFailed:
        return
    assert "{{" not in text and "}}" not in text


def test_white_space_is_tidied() -> None:
    assert render("  Hi ,\n\n {{name}}\t! ", {"name": "Ann"}) == "Hi, Ann!"
    assert tidy("您好 ， 欢迎 回来 Acme") == "您好，欢迎回来 Acme"


def test_a_template_whose_slots_are_left_unfilled_is_the_same_script() -> None:
    facts = {"name": "Ann", "product": "Acme"}
    template = "Hi{{#name}} {{ name }}{{/name}},\n{{^offer}}no offer in {{/offer}}{{product}} ."
    made = flat(template, facts)
    assert made == "Hi {{name}}, no offer in {{product}}."
    assert render(made, facts) == render(template, facts)
    assert flat(template, {"product": "Globex"}) == "Hi, no offer in {{product}}."
    with pytest.raises(GuardFailed, match="no fact: name"):
        flat("Hi {{name}}", {"product": "Acme", "name": ""})
