"""Events on their way into the sequences: many of them in one record, by user, as Redis keeps them."""

from msgspec import Raw, Struct

from schemas.events import Account, EpochMs


class Pack(Struct, frozen=True, kw_only=True):
    """Accepted events of a moment, and what else comes of them.

    `users` holds by partition an object of arrays: by `tenant/user_id` the events, without what that states
    (`tenant` and `user_id`) and without `replay`. `accounts` are their users' newest account events, and
    `ticks` is the newest event time that a tick told of a partition.
    """

    users: dict[int, Raw] = {}
    accounts: list[Account] = []
    ticks: dict[int, EpochMs] = {}
