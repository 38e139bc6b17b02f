"""Tenants' profiles, from a file that a person writes (JSON or YAML)."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from schemas.errors import InputError
from schemas.events import TenantId
from schemas.tenant import Tenant


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
        InputError: the file cannot be read, or a profile does not fit its schema.
    """
    if path is None:
        return Tenants({})
    decode = msgspec.json.decode if path.suffix == ".json" else msgspec.yaml.decode
    try:
        return Tenants(decode(path.read_bytes(), type=dict[TenantId, Tenant]))
    except (OSError, ImportError, msgspec.DecodeError) as error:
        raise InputError(f"cannot use the tenants file {path}: {error}") from error
