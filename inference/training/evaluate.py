"""Judges the small model by conditioning: does a script do what its header asks, where it was never trained.

The rules are exact. A script must be made of known phrases alone, nothing before, between or after them, and
of just the families that its header calls for; a script that is a word off counts as wrong in every respect.
Whether a script may be sent is for the caller to say, who knows the guard.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

from inference.nano import Nano, Sampling
from inference.prompt import header, prompt
from inference.training.corpus import examples, families, says_once
from inference.training.phrases import parse, slots_of
from schemas.profile import Profile
from schemas.vocabulary import Locale

PLACES = ("greet", "observe", "act", "close")
_ASPECT = {"greet": "greeting", "observe": "reason", "act": "strategy", "close": "offer_link_plan"}


Refusal = Callable[[Profile, str], str | None]
"""Why a script may not be sent to the user of a profile; None where it may."""


class Sample(NamedTuple):
    """A profile, what the model wrote for it, what is right about that, and why it may not be sent, if so."""

    profile: Profile
    script: str
    right: dict[str, bool]
    refused: str | None


class Score(NamedTuple):
    """Shares of scripts that are right, by aspect and in `all`, and that may be sent, by locale; how varied
    they are; their length and processor time."""

    scripts: int
    right: dict[str, float]
    sendable: dict[str, float]
    distinct: dict[str, float]
    cpu_ms_per_script: float
    tokens_per_script: float
    tokens_p50: int
    tokens_p95: int


def judge(profile: Profile, script: str) -> dict[str, bool]:
    """What is right about `script`, by aspect; `all` is right where every aspect is."""
    found = parse(script, profile.locale)
    wanted = families(profile)
    by_place = {family.partition(".")[0]: family for family in found or ()}
    right = {
        aspect: found is not None and by_place.get(place) == wanted[PLACES.index(place)]
        for place, aspect in _ASPECT.items()
    }
    right["well_formed"] = found == wanted
    slots = slots_of(script)
    right["slots_given"] = slots <= profile.facts.keys()
    right["offer_iff_given"] = ("offer" in slots) == ("offer" in profile.facts)
    right["link_iff_given"] = ("link" in slots) == ("link" in profile.facts)
    right["says_once"] = says_once(script)
    right["locale"] = _is_chinese(script) == (profile.locale is Locale.ZH)
    return right | {"all": all(right.values())}


def evaluate(
    nano: Nano,
    *,
    seed: int,
    scripts: int,
    sampling: Sampling,
    refusal: Refusal,
    report: Callable[[int], None] = lambda done: None,
) -> tuple[Score, list[Sample]]:
    """The score on `scripts` profiles with held-out headers, and each script as it came out."""
    samples: list[Sample] = []
    tokens: list[int] = []
    spent_s = 0.0
    for at, example in enumerate(islice(examples(seed, held_out=True), scripts)):
        # Each script has a seed of its own: with one for all, the same draw would begin all of them alike.
        drawn = sampling if sampling.seed is None else sampling._replace(seed=sampling.seed + 7919 * at)
        asked, began_s = prompt(example.profile), time.process_time()
        pieces = list(nano.generate(asked, drawn, lambda: False))
        spent_s += time.process_time() - began_s
        tokens.append(len(pieces))
        profile, script = example.profile, "".join(pieces)
        samples.append(Sample(profile, script, judge(profile, script), refusal(profile, script)))
        report(len(samples))
    texts = [sample.script for sample in samples]
    tokens.sort()
    score = Score(
        scripts=scripts,
        right={name: _share(sample.right[name] for sample in samples) for name in samples[0].right},
        sendable={
            locale: _share(sample.refused is None for sample in samples if sample.profile.locale is locale)
            for locale in Locale
        },
        distinct={
            "scripts": len(set(texts)) / scripts,
            "2": _distinct(texts, 2),
            "4": _distinct(texts, 4),
        },
        cpu_ms_per_script=1000 * spent_s / scripts,
        tokens_per_script=sum(tokens) / scripts,
        tokens_p50=tokens[scripts // 2],
        tokens_p95=tokens[scripts * 95 // 100],
    )
    return score, samples


def shown(sample: Sample) -> str:
    """A sample as text: header, script, and what is wrong with it."""
    wrong = [name for name, right in sample.right.items() if not right]
    remarks = [f"wrong: {', '.join(wrong)}"] if wrong else []
    remarks += [f"refused: {sample.refused}"] if sample.refused else []
    return "\n".join((header(sample.profile), sample.script, *remarks))


def _share(values: Iterable[bool]) -> float:
    known = list(values)
    return sum(known) / max(1, len(known))


def _distinct(texts: list[str], n: int) -> float:
    """Different runs of `n` words (characters, in Chinese) as a share of all runs."""
    runs = [run for text in texts for run in _runs(text, n)]
    return len(set(runs)) / max(1, len(runs))


def _runs(text: str, n: int) -> Iterator[tuple[str, ...]]:
    words = list(text) if _is_chinese(text) else text.split()
    yield from zip(*(words[at:] for at in range(n)), strict=False)


def _is_chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)
