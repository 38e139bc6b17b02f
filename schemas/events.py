"""Events as producers publish them: one tagged union, told apart by `kind`."""

from typing import Annotated, Literal, final

from msgspec import Meta, Struct

# `$(?!\n)`: Python's `$` also matches before a final newline, ECMAScript's does not.
TENANT_PATTERN = r"^[A-Za-z0-9_.-]{1,64}$(?!\n)"
# Printable: no white space, no control, surrogate or invisible format character. The zero-width
# joiner stays allowed, since emoji are built with it.
NAME_PATTERN = (
    r"^[^\s\u0000-\u001f\u007f-\u009f\u00ad\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u206f"
    r"\ud800-\udfff\ufeff\ufff9-\ufffb]{1,128}$(?!\n)"
)
LAST_TS_MS = 253_402_300_799_999
"""The last millisecond of the year 9999, the latest time that an event can carry."""

TenantId = Annotated[str, Meta(pattern=TENANT_PATTERN, description="tenant")]
Name = Annotated[str, Meta(pattern=NAME_PATTERN, description="1 to 128 printable characters")]
EpochMs = Annotated[int, Meta(ge=0, le=LAST_TS_MS, description="event time, epoch ms, UTC")]
Word = Annotated[str, Meta(min_length=1, max_length=128)]


class Replay(Struct, frozen=True, kw_only=True, gc=False):
    """Marks a record as history: crossings up to `until` are held, nobody is written to.

    `until` is where the replay ends (epoch ms); `compose` writes scripts all the same.
    """

    until: EpochMs
    compose: bool = False


# Of events the codec looks for the patterns: msgspec's own search took half of the decoding.
_Name = Annotated[
    str, Meta(description="1 to 128 printable characters", extra_json_schema={"pattern": NAME_PATTERN})
]
_TenantId = Annotated[str, Meta(description="tenant", extra_json_schema={"pattern": TENANT_PATTERN})]


class _Event(Struct, frozen=True, kw_only=True, tag_field="kind", gc=False):
    event_id: _Name
    tenant: _TenantId
    user_id: _Name
    ts: EpochMs
    replay: Replay | None = None

    @property
    def key(self) -> str:
        """The record key, `tenant/user_id`."""
        return f"{self.tenant}/{self.user_id}"


class Login(_Event, frozen=True, kw_only=True, tag="login", gc=False):
    """A session begins, or ends where `action` says so. Both mark the pane as active."""

    channel: Word = "web"
    action: Literal["login", "logout"] = "login"


class Usage(_Event, frozen=True, kw_only=True, tag="usage", gc=False):
    """A feature was used."""

    feature: Word
    duration_ms: Annotated[int, Meta(ge=0)] = 0
    outcome: Literal["ok", "error"] = "ok"


class Support(_Event, frozen=True, kw_only=True, tag="support", gc=False):
    """A message that the user wrote to customer service."""

    text: Annotated[str, Meta(min_length=1, max_length=20_000)]
    lang: Annotated[str, Meta(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$")] = "en"


class Account(_Event, frozen=True, kw_only=True, tag="account", gc=False):
    """The user's metadata, whole: a later account event replaces an earlier one.

    Consent that nobody stated counts as given: the tenant answers for whom it sends us. `time_zone` is a name
    of the IANA data base; who states none has the tenant's.
    """

    name: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    plan: Word = "free"
    seats: Annotated[int, Meta(ge=1)] = 1
    tenure_days: Annotated[int, Meta(ge=0)] = 0
    locale: Word = "en"
    time_zone: Word | None = None
    consent: bool = True
    contact: tuple[Word, ...] = ()


Event = Login | Usage | Support | Account


@final
class Tick(Struct, frozen=True, kw_only=True, tag="tick", tag_field="kind", gc=False):
    """Carries event time on where no event does. It belongs to no user; all ticks have the key `tick`.

    One goes to every partition, so that no idle partition holds the watermark back.
    """

    ts: EpochMs
    replay: Replay | None = None
