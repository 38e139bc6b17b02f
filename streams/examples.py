"""The examples as they stand on their topic: every version of each tenant's, and which one holds."""

import logging
from collections.abc import Iterable

import msgspec

from schemas.codec import encode
from schemas.errors import InputError
from schemas.examples import Examples
from schemas.topics import EXAMPLES
from streams.consumer import Record
from streams.following import publish_to, read_into, version_in

_decoder = msgspec.json.Decoder(Examples)

logger = logging.getLogger(__name__)


class Shelf:
    """The versions that were read so far. Of a tenant's the one whose record came last holds.

    >>> shelf = Shelf()
    >>> record = Record(0, 0, 0, b"acme/a1", b'{"tenant": "acme", "version": "a1"}')
    >>> shelf.take([record])
    >>> shelf.of("acme").version, shelf.of("globex"), shelf.version("acme", "b2")
    ('a1', None, None)
    """

    def __init__(self) -> None:
        self._versions: dict[str, dict[str, Examples]] = {}

    @property
    def newest(self) -> str:
        """Which version holds of which tenants."""
        held = [many[-1] for tenant in sorted(self._versions) if (many := self.versions(tenant))]
        return ", ".join(one.key for one in held) or "none"

    @property
    def known(self) -> int:
        """How many versions of all tenants are known."""
        return sum(map(len, self._versions.values()))

    @property
    def tenants(self) -> list[str]:
        """Those that have a version."""
        return sorted(self._versions)

    def of(self, tenant: str) -> Examples | None:
        """The version that holds of a tenant's examples; None where there never was one."""
        many = self.versions(tenant)
        return many[-1] if many else None

    def version(self, tenant: str, name: str) -> Examples | None:
        """That version of a tenant's examples, whether it holds or not."""
        return self._versions.get(tenant, {}).get(name)

    def versions(self, tenant: str) -> list[Examples]:
        """All of a tenant's versions, in the order in which they were published last."""
        return list(self._versions.get(tenant, {}).values())

    def take(self, records: Iterable[Record]) -> None:
        """More records of the topic, or all of them again from its beginning."""
        # A reader of the shelf sees it as before or as after: on the way an older version would hold.
        after = {tenant: dict(many) for tenant, many in self._versions.items()}
        for record in records:
            try:
                one = version_in(record, EXAMPLES, _decoder, lambda one: one.key)
            except InputError as error:
                logger.error("%s; it is passed over, and the other versions hold", error)
                continue
            many = after.setdefault(one.tenant, {})
            many.pop(one.version, None)  # comes last now
            many[one.version] = one
        self._versions = after


def read_examples(bootstrap_servers: str) -> Shelf:
    """The examples that are on the topic now.

    Raises:
        UnavailableError: the broker does not answer.
        InputError: it has no such topic.
    """
    return read_into(bootstrap_servers, EXAMPLES, Shelf())


def publish_examples(bootstrap_servers: str, examples: Examples) -> None:
    """Have that version hold for its tenant, and wait until it is on the topic.

    Raises:
        UnavailableError: the broker does not answer.
        InputError: it has no such topic.
    """
    publish_to(bootstrap_servers, EXAMPLES, {examples.key: encode(examples)})
