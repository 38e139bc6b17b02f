"""What the model is asked: the profile, and as many scripts that worked as its version has room for."""

from collections.abc import Callable
from typing import NamedTuple

from inference.client import Generation
from inference.prompt import prompt, shown
from inference.room import Room
from operators.ladder import refusal
from schemas.decision import Shown, Told
from schemas.examples import Example, Examples
from schemas.profile import Profile


class Asked(NamedTuple):
    """A prompt, and which examples it has."""

    text: str
    examples: Shown | None = None


class Written(NamedTuple):
    """What a model wrote, when (epoch ms), and which examples it was shown."""

    made: Generation
    written_ms: float
    examples: Shown | None


class Prompter:
    """Asks with a tenant's own examples where the model takes any; without `examples` it asks without.

    `examples` gives those of a tenant that hold by now, `room` what a version of the model takes.
    """

    def __init__(
        self,
        examples: Callable[[str], Examples | None] = lambda tenant: None,
        room: Callable[[str], Room] = lambda version: Room(),
    ) -> None:
        self._examples = examples
        self._room = room

    def version(self, tenant: str, model_version: str) -> str:
        """Which version of a tenant's examples that version of the model is shown some of; "" is none."""
        held = self._examples(tenant) if self._room(model_version).tokens else None
        return "" if held is None else held.version

    def ask(self, profile: Profile, model_version: str) -> Asked:
        """What to ask a version of the model for a script for `profile`.

        Shown are the best examples for users alike that fit into the room together, each of them whole, and
        that could be sent to this user as they are. Whoever copies one is judged as who writes a new one.
        """
        room = self._room(model_version)
        held = self._examples(profile.tenant) if room.tokens else None
        places: list[int] = []
        texts: list[str] = []
        for place, one in enumerate(() if held is None else held.examples):
            if (
                _is_alike(one, profile)
                and room.count(shown(profile.locale, [*texts, one.template])) <= room.tokens
                and refusal(profile, one.template) is None
            ):
                places.append(place)
                texts.append(one.template)
        if held is None or not places:
            return Asked(prompt(profile))
        return Asked(prompt(profile, texts), Shown(version=held.version, places=tuple(places)))


def told(profile: Profile, written: Written | None) -> Told:
    """What is recorded of `profile`: all but the name, which the account has. And how a model was asked."""
    return Told(
        facts={slot: fact for slot, fact in profile.facts.items() if slot != "name"},
        named="name" in profile.facts,
        sentences=profile.sentences,
        brief=profile.brief,
        prompt="" if written is None else written.made.prompt,
        seed=None if written is None else written.made.seed,
        examples=None if written is None else written.examples,
    )


def _is_alike(example: Example, profile: Profile) -> bool:
    """Whether an example was written for users such as the one of `profile`."""
    return (example.tier, example.reason, example.strategy, example.locale) == (
        profile.tier,
        profile.reason,
        profile.strategy,
        profile.locale,
    )
