"""A contextual bandit in batches: Thompson sampling with weights that are published, not drawn in the dark.

What came of a decision has parts: answered, complained, left. How often each comes of an arm in a context is
a mean of its own for the arm, and what the context adds: contexts tell of each other, so that an arm need not
be learned anew in each, and a part in which the arms hardly differ is not taken for one in which they do
(Gelman et al., "Bayesian Data Analysis", 2013, ch. 5 and 15; Hill et al., "An Efficient Bandit Algorithm for
Realtime Multivariate Optimization", KDD 2017). An arm's weight is the probability, by Monte Carlo, that its
mean value is the greatest (Thompson, 1933; in batches with published weights: Russo et al., "A Tutorial on
Thompson Sampling", 2018, ch. 8), above a floor that keeps every arm's propensity large enough to learn from.

Whether weights are better than others is estimated from what was logged, before anybody is exposed to them:
inverse propensities (IPS), self-normalised (SNIPS; Swaminathan and Joachims, 2015), and doubly robust (DR;
Dudik, Langford and Li, 2011). Weights are judged on decisions later than those they were learned from, as a
bet is: two halves that judge what was learned of each other are wrong together, and an error that takes them
for independent is too small by up to a root of two (Luedtke and van der Laan, Annals of Statistics 44(2),
2016; Blum, Kalai and Langford, COLT 1999). The error is one of whole users.

What is not proven yet acts in part: so much of the way from the weights that people set to the learned ones
is gone that no more may be lost than is put at risk (Kazerouni et al., "Conservative Contextual Linear
Bandits", NeurIPS 2017). For the gain of weights between two is the same part of the gain from one to the
other, and so is its bound.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from inference.intervals import mean_ci

Weights = Mapping[str, tuple[float, ...]]
"""The arms' shares by context."""
Learn = Callable[["Log"], Weights]

ARMS_DIFFER = 0.5
"""How much arms are thought to differ, as a share of the mean: one standard deviation."""
CONTEXTS_DIFFER = 0.3
"""How much what an arm does in one context is thought to differ from what it does in others, likewise."""
DRAWS = 5_000
"""Of the Monte Carlo: by them a weight is off by 0.007 at the most, one standard error."""
FOLDS = 2
STRETCHES = 8
"""Into how many parts, one after the other, the decisions are cut on which weights are judged."""
_DIGITS = 4
_SURELY = 2.326 / 1.96
"""A bound of 99 % to one side against one of 95 % to two, in their distance from the middle."""
_OF_ALL = 10.0
"""Decisions of the mean sort that each cell is thought to have had, for the variance of its share."""


class Worth(Struct, frozen=True, kw_only=True):
    """What the parts of a decision are worth, in answers: an answer is 1."""

    complaint: float = 5.0
    """What a complaint, or an unsubscription, costs."""
    left: float = 0.0
    """What it costs when the user leaves. 0 where the tenant does not report who left."""
    offer: float = 0.0
    """What it costs to make an offer, accepted or not."""


class Log(Struct, frozen=True, kw_only=True):
    """What was decided by chance and what came of it, one row a decision, in the order of time.

    `at` is when (epoch ms), `arm` an index, `propensity` how likely it was then; `answered`, `complained` and
    `left` tell what the user did, `cost` what the arm itself costs, in answers. `unit` names the user,
    `context` what weights may depend on, `stratum` what propensities did depend on besides, and `known`,
    shape [rows, any], what else is known.
    """

    at: NDArray[np.int64]
    unit: NDArray[np.str_]
    context: NDArray[np.str_]
    stratum: NDArray[np.str_]
    arm: NDArray[np.int64]
    propensity: NDArray[np.float64]
    answered: NDArray[np.bool_]
    complained: NDArray[np.bool_]
    left: NDArray[np.bool_]
    cost: NDArray[np.float64]
    known: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.arm)

    def value(self, worth: Worth) -> NDArray[np.float64]:
        """What each decision was worth, in answers."""
        worths: NDArray[np.float64] = self.answered - worth.complaint * self.complained
        return worths - worth.left * self.left - self.cost

    def where(self, kept: NDArray[np.bool_]) -> "Log":
        """The rows that are `kept`."""
        return Log(**{name: getattr(self, name)[kept] for name in self.__struct_fields__})


class Gain(Struct, frozen=True, kw_only=True):
    """What new weights are worth more than others, per decision, in answers: DR with its interval of 95 %.

    It is above `least` with a confidence of 99 %: a bound to one side. `ips` and `snips` are the gain by the
    other estimators: where they differ much, propensities are extreme.
    """

    dr: float
    ci: tuple[float, float]
    least: float
    ips: float
    snips: float
    decisions: int
    effective: float
    """Kish's effective number of decisions under the new weights."""


def learn(
    log: Log,
    contexts: Sequence[str],
    costs: Sequence[float],
    *,
    worth: Worth,
    floor: float,
    believed: Weights | None = None,
    allowed: Mapping[str, Sequence[bool]] | None = None,
    seed: int = 7,
    draws: int = DRAWS,
) -> dict[str, tuple[float, ...]]:
    """The arms' weights in each of `contexts`: the probability to be best, above `floor`.

    `costs` are the arms' own, in answers. `believed` is how likely each arm was thought to be the best before
    anything was known, at least the floor; without it all arms are alike. An arm that is not `allowed` in a
    context has the floor there and no more. Weights are rounded to four digits and add up to 1; one seed
    gives one result.

    >>> log = simulated(500, {"high": (0.1, 0.5)}, {"high": (0.5, 0.5)}, seed=1)
    >>> learn(log, ["high"], [0.0, 0.0], worth=Worth(), floor=0.05)
    {'high': (0.05, 0.95)}
    """
    arms = len(costs)
    if not 0 < floor <= 1 / arms:
        raise ValueError(f"floor is {floor}, expected a share above 0 and at most 1/{arms}")
    dice = np.random.default_rng(seed)
    parts = ((log.answered, 1.0), (log.complained, -worth.complaint), (log.left, -worth.left))
    drawn = -np.tile(np.array(costs, dtype=np.float64), (draws, len(contexts), 1))
    for happened, worths in parts:
        if worths:
            drawn += worths * _rates(log, happened.astype(np.float64), contexts, arms, dice, draws)
    found = {}
    for at, context in enumerate(contexts):
        permitted = np.array((allowed or {}).get(context, (True,) * arms))
        values = drawn[:, at]
        if permitted.any():
            values[:, ~permitted] = -np.inf
        best = np.bincount(values.argmax(axis=1), minlength=arms) / draws
        if believed is not None:
            best = best * np.maximum(believed[context], floor)
            best = best / best.sum()
        found[context] = _rounded(floor + (1 - arms * floor) * best)
    return found


def gain(log: Log, before: Weights, after: Weights, worth: Worth) -> Gain:
    """What `after` is worth more than `before`, by a log that neither was learned from.

    >>> log = simulated(4_000, {"high": (0.1, 0.3)}, {"high": (0.5, 0.5)}, seed=1)
    >>> found = gain(log, {"high": (0.5, 0.5)}, {"high": (0.0, 1.0)}, Worth())
    >>> found.ci[0] < 0.1 < found.ci[1]
    True
    """
    _, user = np.unique(log.unit, return_inverse=True)
    fold = np.random.default_rng(0).permutation(int(user.max()) + 1)[user] % FOLDS
    return _gain(
        [
            _judged(log.where(fold == one), log.where(fold != one), before, after, worth)
            for one in range(FOLDS)
        ]
    )


def gain_of_learning(log: Log, before: Weights, learned: Learn, worth: Worth, since_ms: int) -> Gain | None:
    """What weights that are learned are worth more than `before`, which holds unlearned `since_ms`.

    The decisions since then are cut into `STRETCHES`; on each those weights are judged that `learned` makes
    of all that was decided before it. A stretch counts for less the more its propensities differ from both:
    by the inverse of the error that this makes, which no outcome has a part in. None where nothing was
    decided since, or before the last stretch.
    """
    parts, surely = [], []
    for rows in np.array_split(np.flatnonzero(log.at >= since_ms), STRETCHES):
        if len(rows) and rows[0] > 0:
            number = np.arange(len(log))
            here, seen = log.where(np.isin(number, rows)), log.where(number < rows[0])
            parts.append(_judged(here, seen, before, learned(seen), worth))
            error = float(np.sqrt(np.mean((parts[-1].new - parts[-1].old) ** 2)))
            surely.append(1 / error if error else 0.0)
    return _gain(parts, surely) if parts else None


class _Judged(NamedTuple):
    """Rows on which weights were judged; `new` and `old` are the arm's weights over its propensity."""

    unit: NDArray[np.str_]
    value: NDArray[np.float64]
    new: NDArray[np.float64]
    old: NDArray[np.float64]
    score: NDArray[np.float64]


def _judged(log: Log, seen: Log, before: Weights, after: Weights, worth: Worth) -> _Judged:
    """The rows of `log`, with what the rows that were `seen` make expect of each arm."""
    arms = 1 + max(int(log.arm.max()), int(seen.arm.max()))
    arms = max([arms, *(len(one) for one in (*before.values(), *after.values()))])
    old, new = _shares(log, before, arms), _shares(log, after, arms)
    expected = _expected(seen, seen.value(worth), log.context, arms)
    row, value = np.arange(len(log)), log.value(worth)
    ratio_new, ratio_old = new[row, log.arm] / log.propensity, old[row, log.arm] / log.propensity
    missed = value - expected[row, log.arm]
    score = ((new - old) * expected).sum(axis=1) + (ratio_new - ratio_old) * missed
    return _Judged(log.unit, value, ratio_new, ratio_old, score)


def _gain(parts: Sequence[_Judged], counts: Sequence[float] = ()) -> Gain:
    """The mean gain of all rows, those of each part counting for so much."""
    if not any(counts):
        counts = [1.0] * len(parts)
    times = np.concatenate([np.full(len(one.unit), count) for one, count in zip(parts, counts, strict=True)])
    times = times / times.mean()
    unit, value, new, old, score = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    mean = float((times * score).mean())
    low, high = mean_ci(times * (score - mean), unit)
    return Gain(
        dr=mean,
        ci=(mean + low, mean + high),
        least=mean + low * _SURELY,
        ips=float((times * (new - old) * value).mean()),
        snips=_normalised(times * new, value) - _normalised(times * old, value),
        decisions=len(score),
        effective=float(new.sum() ** 2 / max((new**2).sum(), 1e-12)),
    )


def affordable(judged: Gain, at_risk: float) -> float:
    """How much of the way to the weights that were learned may be gone with `at_risk` answers per decision.

    All of it where no more would surely be lost, and otherwise the part that loses no more, for as certain.
    What was judged are weights learned before those: luck that spoke for them has moved these further. So of
    a bound of 99 % 95 are left.

    >>> gain = Gain(dr=0.0, ci=(-0.02, 0.02), least=-0.02, ips=0, snips=0, decisions=900, effective=300)
    >>> [affordable(gain, at_risk) for at_risk in (0.0, 0.005, 0.03)]
    [0.0, 0.25, 1.0]
    """
    return 1.0 if judged.least >= -at_risk else at_risk / -judged.least


def between(before: Weights, after: Weights, part: float) -> dict[str, tuple[float, ...]]:
    """The weights that lie `part` of the way from `before` to `after`, in all contexts of `after`.

    >>> between({"high": (1.0, 0.0)}, {"high": (0.2, 0.8)}, 0.5)
    {'high': (0.6, 0.4)}
    """
    return {
        context: _rounded((1 - part) * np.array(before[context]) + part * np.array(weights))
        for context, weights in after.items()
    }


def joined(logs: Sequence[Log]) -> Log:
    """The rows of all `logs`, which follow each other in time."""
    return Log(
        **{name: np.concatenate([getattr(log, name) for log in logs]) for name in Log.__struct_fields__}
    )


def simulated(decisions: int, answers: Mapping[str, Sequence[float]], weights: Weights, *, seed: int) -> Log:
    """A log of a made-up world whose truth is known: each arm's share of `answers` by context."""
    dice = np.random.default_rng(seed)
    context = dice.choice(sorted(answers), size=decisions)
    likely, shares = (np.array([of[one] for one in context]) for of in (answers, weights))
    at = np.arange(decisions)
    return made_up(dice, at, at.astype(str), context, shares, likely)


def made_up(
    dice: np.random.Generator,
    at: NDArray[np.int64],
    unit: NDArray[np.str_],
    context: NDArray[np.str_],
    shares: NDArray[np.float64],
    answers: NDArray[np.float64],
) -> Log:
    """A made-up log: each row's arm is drawn by its `shares`, and answered as often as its `answers` say.

    Nobody complains or leaves, and no arm costs anything.
    """
    rows, size = np.arange(len(at)), len(at)
    arm = (dice.random(size)[:, None] > shares.cumsum(axis=1)).sum(axis=1).clip(max=shares.shape[1] - 1)
    return Log(
        at=at,
        unit=unit,
        context=context,
        stratum=np.full(size, ""),
        arm=arm,
        propensity=shares[rows, arm],
        answered=dice.random(size) < answers[rows, arm],
        complained=np.zeros(size, dtype=bool),
        left=np.zeros(size, dtype=bool),
        cost=np.zeros(size),
        known=np.zeros((size, 0)),
    )


def _rates(
    log: Log,
    happened: NDArray[np.float64],
    contexts: Sequence[str],
    arms: int,
    dice: np.random.Generator,
    draws: int,
) -> NDArray[np.float64]:
    """Draws of how often something comes of each arm in each context, against the other arms there.

    A normal model of the shares in each context, stratum and arm, with known variances: context and stratum +
    arm + arm in each part of the context, of which `tier/plan` has three. Arms are compared within a stratum,
    where chance alone gave them: so a row of an arm that is rare by now counts for as much as any. The shape
    is [draws, contexts, arms].
    """
    overall = (happened.sum() + 0.5) / (len(log) + 1)
    named = [_parts(context) for context in contexts]
    parts = sorted({part for one in named for part in one})
    present, of_row = np.unique(log.context, return_inverse=True)
    where = np.array([contexts.index(str(one)) for one in present], dtype=np.int64)[of_row]
    columns = np.zeros((len(contexts), arms, arms * (1 + len(parts))))
    for context, arm in np.ndindex(len(contexts), arms):
        columns[context, arm, [arm, *(arms * (1 + parts.index(part)) + arm for part in named[context])]] = 1
    strata, stratum = np.unique(log.stratum, return_inverse=True)
    shape = (len(contexts), len(strata), arms)
    found, row = np.unique(np.ravel_multi_index((where, stratum, log.arm), shape), return_inverse=True)
    cells = np.column_stack(np.unravel_index(found, shape))
    many = np.bincount(row)
    shares = np.bincount(row, weights=happened) / many
    likely = (many * shares + _OF_ALL * overall) / (many + _OF_ALL)
    _, place = np.unique(found // arms, return_inverse=True)
    bases = np.eye(int(place.max()) + 1)[place]
    design = np.hstack([columns[cells[:, 0], cells[:, 2]], bases])
    spread = np.full(design.shape[1], CONTEXTS_DIFFER * overall)
    spread[:arms] = ARMS_DIFFER * overall
    spread[columns.shape[2] :] = 1.0
    precision = many / (likely * (1 - likely))
    covariance = np.linalg.inv((design.T * precision) @ design + np.diag(1 / spread**2))
    mean = covariance @ design.T @ (precision * shares)
    kept = columns.shape[2]
    root = np.linalg.cholesky(covariance[:kept, :kept])
    effects = mean[:kept] + dice.standard_normal((draws, kept)) @ root.T
    drawn: NDArray[np.float64] = effects @ columns.reshape(-1, kept).T
    return drawn.reshape(draws, len(contexts), arms)


def _parts(context: str) -> list[str]:
    """What a context consists of, itself included.

    >>> _parts("high"), _parts("high/pro")
    (['high'], ['high', 'high/pro', 'pro'])
    """
    return sorted({context, *context.split("/")})


def _rounded(weights: NDArray[np.float64]) -> tuple[float, ...]:
    rounded = [round(float(weight), _DIGITS) for weight in weights]
    largest = int(np.argmax(weights))
    rounded[largest] = round(1 - sum(rounded[:largest] + rounded[largest + 1 :]), _DIGITS)
    return tuple(rounded)


def _shares(log: Log, weights: Weights, arms: int) -> NDArray[np.float64]:
    """Each row's weights: shape [rows, arms]."""
    shares = np.zeros((len(log), arms))
    for context in np.unique(log.context):
        known = weights[str(context)]
        shares[np.ix_(log.context == context, np.arange(len(known)))] = known
    return shares


def _expected(
    log: Log, value: NDArray[np.float64], contexts: NDArray[np.str_], arms: int
) -> NDArray[np.float64]:
    """The mean value of each arm in each row's context, near the arm's mean where there is little."""
    found = np.zeros((len(contexts), arms))
    overall = np.bincount(log.arm, value, arms) / np.maximum(np.bincount(log.arm, minlength=arms), 1)
    for context in np.unique(contexts):
        here = log.context == context
        many, total = (np.bincount(log.arm[here], of, arms) for of in (None, value[here]))
        found[contexts == context] = (total + 10 * overall) / (many + 10)
    return found


def _normalised(ratio: NDArray[np.float64], value: NDArray[np.float64]) -> float:
    return float((ratio * value).sum() / max(ratio.sum(), 1e-12))
