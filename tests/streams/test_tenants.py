"""What a tenants file may say of the risk's bounds."""

from pathlib import Path

import pytest

from schemas.errors import InputError
from streams.tenants import load_tenants


def test_a_tenant_s_bounds_of_the_risk_are_read_and_others_have_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "tenants.yaml"
    path.write_text("acme: {product: Acme, risk_threshold: 0.2, risk_clear: 0.1}\nbeta: {product: Beta}\n")
    tenants = load_tenants(path)
    found = [(tenants.of(name).risk_threshold, tenants.of(name).risk_clear) for name in ("acme", "beta", "x")]
    assert found == [(0.2, 0.1), (0.5, 0.4), (0.5, 0.4)]


@pytest.mark.parametrize(
    ("bounds", "problem"),
    [
        ("risk_threshold: 0.3", "risk_clear is 0.4, above the risk_threshold"),
        ("risk_threshold: 1.2", "`float` <= 1"),
        ("risk_clear: often", "Expected `float`"),
    ],
)
def test_bounds_that_cannot_be_are_refused(tmp_path: Path, bounds: str, problem: str) -> None:
    path = tmp_path / "tenants.yaml"
    path.write_text(f"acme: {{product: Acme, {bounds}}}\n")
    with pytest.raises(InputError, match=problem):
        load_tenants(path)
