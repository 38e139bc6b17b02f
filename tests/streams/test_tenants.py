"""What a tenants file may say, and what becomes of a file that says something else."""

from pathlib import Path

import pytest

from schemas.errors import InputError
from schemas.vocabulary import Locale, Reason, Strategy
from streams.tenants import load_tenants, parse_tenants


def test_a_tenant_s_bounds_of_the_risk_are_read_and_others_have_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "tenants.yaml"
    path.write_text("acme: {product: Acme, risk_threshold: 0.2, risk_clear: 0.1}\nbeta: {product: Beta}\n")
    tenants = load_tenants(path)
    found = [(tenants.of(name).risk_threshold, tenants.of(name).risk_clear) for name in ("acme", "beta", "x")]
    assert found == [(0.2, 0.1), (0.5, 0.4), (0.5, 0.4)]


def test_json_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "tenants.json"
    path.write_text('{"acme": {\n\t"product": "Acme", "offers": []}}')
    assert load_tenants(path).of("acme").product == "Acme"


def test_a_text_serves_its_own_reason_else_that_for_all_and_a_language_without_one_has_none() -> None:
    acme = parse_tenants(
        """
acme:
  product: Acme
  templates:
    en:
      solve_pain_point:
        default: Hello from {{product}}, we are glad to help.
        errors: Sorry, something failed in {{product}}, and we are looking into it.
""",
        "t.yaml",
    ).of("acme")
    texts = [
        acme.template(locale, Strategy.SOLVE_PAIN_POINT, reason)
        for locale, reason in (
            (Locale.EN, Reason.ERRORS),
            (Locale.EN, Reason.SUPPORT),
            (Locale.ZH, Reason.ERRORS),
        )
    ]
    assert [text and text.split()[0] for text in texts] == ["Sorry,", "Hello", None]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["risk_threshold: 0.3"], "acme: risk_clear is 0.4, above the risk_threshold"),
        (["link: https://a.example", "risk_threshold: 1.2"], "line 4: acme.risk_threshold is 1.2, a number"),
        (["risk_clear: often"], "line 3: acme.risk_clear is 'often', a number from 0 to 1 expected"),
        (["ofers: []"], "line 3: acme.ofers is no field; the closest is offers"),
        (["offers:", "  - strategy: retention", "    text: {}"], "line 4: acme.offers[0].strategy is"),
        (
            ["offers:", "  - strategy: retention_offer", "    text:", "      en: see evil.com"],
            "line 6: acme.offers.0.text.en is 'see evil.com', text without markup",
        ),
        (["templates:", "  fr: {}"], "line 4: the name acme.templates.fr is 'fr', one of zh, en expected"),
        (
            ["templates:", "  en:", "    retention_offer:", "      error: Hello there."],
            "line 6: the name acme.templates.en.retention_offer.error is 'error', default, login_drop",
        ),
        (
            ["templates:", "  en:", "    retention_offer:", "      errors: Hi {{name}}, we are sorry."],
            "line 6: acme.templates.en.retention_offer.errors cannot be sent: the template fills a slot",
        ),
        (["brief:", "  retention_offer:", "    en: ''"], "text of 1 to 160 characters expected"),
    ],
)
def test_what_cannot_be_is_refused_with_line_tenant_and_field(lines: list[str], problem: str) -> None:
    text = "acme:\n  product: Acme\n" + "".join(f"  {line}\n" for line in lines)
    with pytest.raises(InputError) as caught:
        parse_tenants(text, "t.yaml")
    assert problem in str(caught.value)
    assert str(caught.value).startswith("t.yaml line")
