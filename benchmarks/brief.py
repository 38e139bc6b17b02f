"""`python -m benchmarks brief FILE TENANT`: what a tenant's briefs change in what the small model writes.

The same held-out profiles are written for with a brief and without it, each pair with one seed. A script
takes the brief up where it has one of its words (of four letters at least; two characters in Chinese), which
many have by chance: what counts is how much oftener than without it.
"""

import re
from collections.abc import Callable, Iterator
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import typer
from msgspec import Struct
from rich.table import Table

from inference.client import sampling
from inference.nano import Nano, Sampling
from inference.prompt import prompt
from inference.registry import promoted
from inference.training.corpus import examples
from inference.tritonserver import MODEL
from operators.ladder import refusal
from schemas.profile import Profile
from schemas.vocabulary import Locale, Strategy
from streams.commands.output import AsJson, out, print_json
from streams.comparing import mean
from streams.tenants import load_tenants

_WORD = re.compile(r"[a-z]{4,}|[\u4e00-\u9fff]{2,}")


class _Script(NamedTuple):
    profile: Profile
    text: str


class Found(Struct, frozen=True, kw_only=True):
    """Of `n` pairs the share that the brief changed; then shares with it and without it: of scripts that have
    a word of it, that ask something, and that the guard lets pass. `more` is how much oftener (95 %) they
    have a word of it than without it.
    """

    strategy: Strategy
    locale: Locale
    n: int
    changed: float
    has_word: tuple[float, float]
    more: tuple[float, float]
    asks: tuple[float, float]
    passes: tuple[float, float]
    samples: tuple[tuple[str, str], ...]


def brief(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Profiles of tenants.")],
    tenant: Annotated[str, typer.Argument(metavar="TENANT", help="Whose briefs.")],
    many: Annotated[int, typer.Option("--scripts", min=20, help="Pairs for each brief.")] = 200,
    as_json: AsJson = False,
) -> None:
    """Write with each brief and without it, and say what it changes.

    Example: python -m benchmarks brief docs/examples/tenants/briefs.yaml stallway
    """
    nano = Nano(promoted(MODEL))
    found = [
        _measured(nano, many, strategy, locale, text)
        for strategy, texts in load_tenants(file).of(tenant).brief.items()
        for locale, text in texts.items()
    ]
    if as_json:
        print_json(found)
        return
    table = Table("brief", "changed", "has a word of it", "oftener, 95 %", "asks", "guard", box=None)
    for one in found:
        shares = (one.has_word, one.asks, one.passes)
        pairs = [f"{100 * with_it:.0f} / {100 * without:.0f}" for with_it, without in shares]
        more = " … ".join(f"{100 * bound:+.0f}" for bound in one.more)
        name, changed = f"{one.strategy} {one.locale}", f"{100 * one.changed:.0f}"
        table.add_row(name, changed, pairs[0], more, *pairs[1:])
    out.print(table)
    out.print("percent of scripts, with the brief / without it")


def _measured(nano: Nano, many: int, strategy: Strategy, locale: Locale, text: str) -> Found:
    words, pairs = _words(text), []
    for number, profile in enumerate(islice(_profiles(strategy, locale), many)):
        drawn = Sampling.of(sampling(number))
        asked = (msgspec.structs.replace(profile, brief=text), profile)
        pairs.append([_Script(profile, _written(nano, one, drawn)) for one in asked])

    def shares(holds: Callable[[_Script], bool]) -> tuple[float, float]:
        with_it, without = (sum(map(holds, column)) / many for column in zip(*pairs, strict=True))
        return with_it, without

    def has_word(one: _Script) -> bool:
        return not words.isdisjoint(_words(one.text))

    return Found(
        strategy=strategy,
        locale=locale,
        n=many,
        changed=sum(with_it != without for with_it, without in pairs) / many,
        has_word=shares(has_word),
        more=mean([has_word(with_it) - has_word(without) for with_it, without in pairs])["ci"],
        asks=shares(lambda one: "?" in one.text or "？" in one.text),
        passes=shares(lambda one: refusal(one.profile, one.text) is None),
        samples=tuple((with_it.text, without.text) for with_it, without in pairs[:3]),
    )


def _profiles(strategy: Strategy, locale: Locale) -> Iterator[Profile]:
    for example in examples(1, held_out=True):
        if (example.profile.strategy, example.profile.locale) == (strategy, locale):
            yield example.profile


def _written(nano: Nano, profile: Profile, drawn: Sampling) -> str:
    return "".join(nano.generate(prompt(profile), drawn, lambda: False)).strip()


def _words(text: str) -> set[str]:
    """The words of a text; of Chinese each two characters that stand together.

    >>> sorted(_words("Orders, 订单 and 收款呢"))
    ['orders', '收款', '款呢', '订单']
    """
    found = _WORD.findall(text.lower())
    split = ([word] if word.isascii() else map("".join, pairwise(word)) for word in found)
    return set(chain.from_iterable(split))
