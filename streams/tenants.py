"""Tenants' profiles, from a file that a person writes (JSON or YAML)."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from operators import guard, wording
from operators.render import tidy
from schemas.errors import InputError
from schemas.events import TenantId
from schemas.tenant import Tenant
from streams.rulefile import Reader, line_of, nodes, read_text

_Path = tuple[str | int, ...]


class Tenants:
    """The profiles by tenant; one that nobody described is known by its own name and offers nothing.

    >>> Tenants({}).of("acme").product, Tenants({}).of("acme").offers
    ('acme', ())
    """

    def __init__(self, profiles: Mapping[str, Tenant]) -> None:
        self._profiles = dict(profiles)

    def of(self, tenant: str) -> Tenant:
        """The profile of `tenant`."""
        found = self._profiles.get(tenant)
        return Tenant(product=tenant) if found is None else found


def load_tenants(path: Path | None) -> Tenants:
    """The profiles that `path` maps tenants to; none where there is no file.

    Raises:
        InputError: the file cannot be read, or used; the text names line, tenant, field and problem.
    """
    if path is None:
        return Tenants({})
    return parse_tenants(read_text(path, "tenants"), path.name)


def parse_tenants(text: str, name: str) -> Tenants:
    """The profiles in `text`, the content of the file `name`.

    >>> parse_tenants("acme:\\n  product: Acme\\n  link: acme.example", "t.yaml")
    Traceback (most recent call last):
    schemas.errors.InputError: t.yaml line 3: acme.link is 'acme.example', a whole link of at most 120 \
characters expected

    Raises:
        InputError: it cannot be used; the text names line, tenant, field and the value's problem.
    """
    root = nodes(text, name, "tenants by name")
    found: dict[str, Tenant] = Reader(name, "the file").read(root, dict[TenantId, Tenant], "")
    for tenant, profile in found.items():
        for path, problem in _faults(profile):
            where = ".".join((tenant, *map(str, path)))
            raise InputError(f"{name} line {line_of(root, (tenant, *path))}: {where} {problem}")
    return Tenants(found)


def _faults(tenant: Tenant) -> Iterator[tuple[_Path, str]]:
    """Where each value stands that could never, or not always, be sent, with the reason."""
    for slot, value in (("product", tenant.product), ("link", tenant.link)):
        if value is not None and not guard.may_state(slot, tidy(value)):
            yield (slot,), _unfit(slot, value)
    for number, offer in enumerate(tenant.offers):
        for locale, text in offer.text.items():
            if not guard.may_state("offer", tidy(text)):
                yield ("offers", number, "text", locale), _unfit("offer", text)
    for locale, strategies in tenant.templates.items():
        for strategy, texts in strategies.items():
            for reason, template in texts.items():
                problem = wording.fault(template, locale)
                if problem is not None:
                    yield ("templates", locale, strategy, reason), f"cannot be sent: {problem}"


def _unfit(slot: str, value: str) -> str:
    what = "a whole link" if slot == "link" else "text without markup or links"
    return f"is {value!r}, {what} of at most {guard.MAX_FACT_CHARS[slot]} characters expected"
