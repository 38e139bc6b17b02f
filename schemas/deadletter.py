"""What cannot be processed, kept whole."""

from msgspec import Struct


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A rejected record with its original bytes (base64 in JSON) and where it lay."""

    topic: str
    partition: int
    offset: int
    append_ms: int
    field: str
    reason: str
    key: bytes | None
    value: bytes | None
