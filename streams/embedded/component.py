"""What the stack knows of one of its parts; the runner treats all of them alike."""

from collections.abc import Callable

from msgspec import Struct

from streams.realtime import Turn
from streams.settings import Settings


class Launch(Struct, frozen=True):
    """A command line and its whole environment."""

    argv: list[str]
    env: dict[str, str]


def nothing(settings: Settings) -> None:
    """For a component that needs no more once it is healthy."""


class Component(Struct, frozen=True, kw_only=True):
    """One server or process of ours.

    `launch` prepares (files, folders) and gives the command; it raises UnavailableError where a part is
    missing. `check` gives None when the component serves, else what is lacking; it takes about a second at
    most. `ready` runs whenever the component has been found healthy, and may be repeated. `ports` are the
    settings that hold its ports, `address` the one that makes it external. `follows_settings`: it is
    started anew when a setting has changed. First in `turn` is what a decision waits for, and what has a
    bounded work for each; late is what no decision waits for, or seldom.
    """

    name: str
    launch: Callable[[Settings], Launch]
    check: Callable[[Settings], str | None]
    ready: Callable[[Settings], None] = nothing
    ports: tuple[str, ...] = ()
    address: str | None = None
    needs: tuple[str, ...] = ()
    healthy_within_s: float = 60.0
    stops_within_s: float = 10.0
    follows_settings: bool = False
    turn: Turn = Turn.EQUAL

    def external(self, settings: Settings) -> bool:
        """Whether the environment names a server of the operator's own in its place."""
        return self.address in settings.given
