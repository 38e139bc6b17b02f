"""What a version of the script model is worth, and how its scripts compare with the templates, blind.

For each held-out profile there are two texts, the model's and the people's template, both filled with the
same facts. They are put in an order that is drawn, and the rubric (`operators/rubric.py`) marks each without
knowing whose it is. A script that the guard refuses is compared as what the user would get instead: the
template, a tie.
"""

import math
from collections.abc import Callable, Sequence
from random import Random
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from inference.client import TEMPERATURE, TOP_K, TOP_P
from inference.intervals import LEVEL, bootstrap, wilson
from inference.nano import Nano, Sampling
from inference.training.evaluate import Sample, evaluate
from operators import rubric, templates
from operators.ladder import refusal
from operators.render import render
from schemas.profile import Profile

_Z = NormalDist().inv_cdf((1 + LEVEL) / 2)


class _Pair(NamedTuple):
    """Two messages to one user, whose they are being known to nobody who marks them."""

    profile: Profile
    texts: tuple[str, str]


def figures(
    nano: Nano, *, scripts: int, seed: int, report: Callable[[int], None] = lambda done: None
) -> dict[str, Any]:
    """Every figure of the served model on `scripts` held-out profiles, at the temperature that is served.

    A share is `{"value", "ci", "n"}`; intervals are of 95 %, Wilson's for shares, else by bootstrap.
    """
    sampling = Sampling(temperature=TEMPERATURE, top_p=TOP_P, top_k=TOP_K, seed=seed)
    score, samples = evaluate(
        nano, seed=seed, scripts=scripts, sampling=sampling, refusal=refusal, report=report
    )
    sent = [render(one.script, one.profile.facts) for one in samples if one.refused is None]
    of_sent = [one.profile for one in samples if one.refused is None]
    return {
        "n": scripts,
        "conditioning": {name: share([one.right[name] for one in samples]) for name in score.right},
        "guard_pass": share([one.refused is None for one in samples])
        | {"by_locale": {str(locale): value for locale, value in score.sendable.items()}},
        "language_purity": mean([rubric.purity(text, who) for text, who in zip(sent, of_sent, strict=True)]),
        "chars": mean([len(text) for text in sent]),
        "tokens": {"mean": score.tokens_per_script, "p50": score.tokens_p50, "p95": score.tokens_p95},
        "cpu_ms": score.cpu_ms_per_script,
        "distinct": {name: distinct([one.script for one in samples], name) for name in score.distinct},
        "against_templates": against_templates(samples, seed),
    }


def against_templates(samples: Sequence[Sample], seed: int) -> dict[str, Any]:
    """Wins, ties and losses of the model by the rubric, and the mean marks of both by question."""
    random = Random(seed)
    pairs: list[_Pair] = []
    first_is_model: list[bool] = []
    for one in samples:
        people = render(templates.template_of(one.profile), one.profile.facts)
        ours = people if one.refused is not None else render(one.script, one.profile.facts)
        first_is_model.append(random.random() < 0.5)
        pairs.append(_Pair(one.profile, (ours, people) if first_is_model[-1] else (people, ours)))
    marked = _marked(pairs, first_is_model)
    model_marks = np.array(
        [row[0 if first else 1] for row, first in zip(marked, first_is_model, strict=True)]
    )
    theirs = np.array([row[1 if first else 0] for row, first in zip(marked, first_is_model, strict=True)])
    won = np.sign(model_marks.sum(axis=1) - theirs.sum(axis=1))
    return {
        "wins": share((won > 0).tolist()),
        "ties": share((won == 0).tolist()),
        "losses": share((won < 0).tolist()),
        "net": mean(won.tolist()),
        "marks": {
            name: {"model": float(model_marks[:, at].mean()), "templates": float(theirs[:, at].mean())}
            for at, name in enumerate(rubric.Marks._fields)
        },
        # Without the question that templates, one a reason, can only lose.
        "net_without_variety": mean(np.sign((model_marks - theirs)[:, :-1].sum(axis=1)).tolist()),
    }


def share(hits: Sequence[bool]) -> dict[str, Any]:
    """A share with Wilson's interval.

    >>> {name: value for name, value in share([True] * 100).items() if name != "ci"}
    {'value': 1.0, 'n': 100}
    >>> [round(bound, 3) for bound in share([True] * 100)["ci"]]
    [0.963, 1.0]
    """
    return {"value": sum(hits) / len(hits), "ci": list(wilson(sum(hits), len(hits))), "n": len(hits)}


def mean(values: Sequence[float]) -> dict[str, Any]:
    """A mean with its interval by bootstrap, each value for itself."""
    known = np.array(values, dtype=float)
    low, high = bootstrap(lambda weights: float(np.average(known, weights=weights)), np.arange(len(known)))
    return {"value": float(known.mean()), "ci": [low, high], "n": len(known)}


def distinct(texts: Sequence[str], kind: str) -> dict[str, Any]:
    """Different ones of all whole texts (`scripts`), or of all runs of so many words, or Chinese characters.

    The interval is by jackknife over blocks of texts: a bootstrap draws copies, which are never distinct.
    """
    runs = [_runs(text, kind) for text in texts]
    value = _distinct(runs)
    blocks = min(20, len(runs))
    left = [
        _distinct([run for at, run in enumerate(runs) if at % blocks != block]) for block in range(blocks)
    ]
    half = _Z * math.sqrt((blocks - 1) / blocks * sum((one - np.mean(left)) ** 2 for one in left))
    return {"value": value, "ci": [max(0.0, value - half), min(1.0, value + half)], "n": len(texts)}


def _runs(text: str, kind: str) -> list[tuple[str, ...]]:
    if kind == "scripts":
        return [(text,)]
    is_chinese = any("\u4e00" <= character <= "\u9fff" for character in text)
    words = list(text) if is_chinese else text.split()
    return list(zip(*(words[at:] for at in range(int(kind))), strict=False))


def _distinct(texts: list[list[tuple[str, ...]]]) -> float:
    runs = [run for text in texts for run in text]
    return len(set(runs)) / max(1, len(runs))


def _marked(pairs: list[_Pair], first_is_model: list[bool]) -> list[tuple[rubric.Marks, rubric.Marks]]:
    """The marks of both texts of each pair. What the same author tells alike users is collected by author."""
    told: dict[tuple[object, ...], list[str]] = {}
    keys = [
        tuple((one.profile.tier, one.profile.reason, one.profile.locale, first == at) for at in (True, False))
        for one, first in zip(pairs, first_is_model, strict=True)
    ]
    for pair, both in zip(pairs, keys, strict=True):
        for text, key in zip(pair.texts, both, strict=True):
            told.setdefault(key, []).append(rubric.without_facts(text, pair.profile))
    return [
        (
            rubric.marks(pair.texts[0], pair.profile, _others(told[both[0]], pair.texts[0], pair.profile)),
            rubric.marks(pair.texts[1], pair.profile, _others(told[both[1]], pair.texts[1], pair.profile)),
        )
        for pair, both in zip(pairs, keys, strict=True)
    ]


def _others(told: list[str], text: str, profile: Profile) -> list[str]:
    """What was told the other users of a group: the group's messages less this one."""
    others = list(told)
    others.remove(rubric.without_facts(text, profile))
    return others
