"""A contextual bandit in batches: Thompson sampling with weights that are published, not drawn in the dark.

What came of a decision is one of eight: answered or not, complained or not, left or not. The posterior of
their shares, for each context and arm, is a Dirichlet; an arm's weight is the probability, by Monte Carlo,
that its mean value is the greatest (Thompson, 1933; in batches with published weights: Russo et al., "A
Tutorial on Thompson Sampling", 2018, ch. 8), above a floor that keeps every arm's propensity large enough to
learn from.

Whether weights are better than those that hold is estimated from what was logged, before anybody is exposed
to them: inverse propensities (IPS), self-normalised (SNIPS; Swaminathan and Joachims, 2015), and doubly
robust (DR; Dudik, Langford and Li, 2011). Weights are judged on users other than those they were learned
from, and an interval draws whole users.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from inference.intervals import bootstrap

Weights = Mapping[str, tuple[float, ...]]
"""The arms' shares by context."""
Learn = Callable[["Log"], Weights]

PRIOR = (8.0, 1.0, 0.2, 0.05, 0.5, 0.1, 0.1, 0.05)
"""Pseudo-counts of what may come of a decision, the bits of the place being answered, complained, left: ten
decisions, one in nine answered."""
DRAWS = 20_000
FOLDS = 2
_DIGITS = 4


class Worth(Struct, frozen=True, kw_only=True):
    """What the parts of a decision are worth, in answers: an answer is 1."""

    complaint: float = 5.0
    """What a complaint, or an unsubscription, costs."""
    left: float = 0.0
    """What it costs when the user leaves. 0 where the tenant does not report who left."""
    offer: float = 0.0
    """What it costs to make an offer, accepted or not."""


class Log(Struct, frozen=True, kw_only=True):
    """What was decided by chance and what came of it, one row a decision.

    `arm` is an index, `propensity` how likely it was then; `answered`, `complained` and `left` tell what the
    user did, `cost` what the arm itself costs, in answers. `unit` names the user, `context` what weights may
    depend on, and `known`, shape [rows, any], what else is known.
    """

    unit: NDArray[np.str_]
    context: NDArray[np.str_]
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
    """What new weights are worth more than those that hold, per decision, in answers: DR with its interval.

    `ips` and `snips` are the same by the other estimators: where they differ much, propensities are extreme.
    """

    dr: float
    ci: tuple[float, float]
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
    allowed: Mapping[str, Sequence[bool]] | None = None,
    seed: int = 7,
) -> dict[str, tuple[float, ...]]:
    """The arms' weights in each of `contexts`: the probability to be best, above `floor`.

    `costs` are the arms' own, in answers. An arm that is not `allowed` in a context has the floor there and
    no more. Weights are rounded to four digits and add up to 1; one seed gives one result.

    >>> log = simulated(500, {"high": (0.1, 0.5)}, {"high": (0.5, 0.5)}, seed=1)
    >>> learn(log, ["high"], [0.0, 0.0], worth=Worth(), floor=0.05)
    {'high': (0.05, 0.95)}
    """
    arms = len(costs)
    if not 0 < floor <= 1 / arms:
        raise ValueError(f"floor is {floor}, expected a share above 0 and at most 1/{arms}")
    dice = np.random.default_rng(seed)
    found = {}
    for context in contexts:
        here = log.where(log.context == context)
        drawn = np.stack([_means(here, arm, worth, dice) - costs[arm] for arm in range(arms)])
        permitted = np.array((allowed or {}).get(context, (True,) * arms))
        if permitted.any():
            drawn[~permitted] = -np.inf
        best = np.bincount(drawn.argmax(axis=0), minlength=arms) / DRAWS
        found[context] = _rounded(floor + (1 - arms * floor) * best)
    return found


def gain(log: Log, before: Weights, after: Weights, worth: Worth, *, learned: Learn | None = None) -> Gain:
    """What `after` is worth more than `before`, by what was logged.

    With `learned` not `after` itself is judged, but what `learned` makes of all users but those it is judged
    on, in `FOLDS` folds: weights that were learned of the same users would always look good.

    >>> log = simulated(4_000, {"high": (0.1, 0.3)}, {"high": (0.5, 0.5)}, seed=1)
    >>> found = gain(log, {"high": (0.5, 0.5)}, {"high": (0.0, 1.0)}, Worth())
    >>> found.ci[0] < 0.1 < found.ci[1]
    True
    """
    value = log.value(worth)
    arms = 1 + int(log.arm.max())
    arms = max([arms, *(len(one) for one in (*before.values(), *after.values()))])
    _, user = np.unique(log.unit, return_inverse=True)
    fold = np.random.default_rng(0).permutation(int(user.max()) + 1)[user] % FOLDS
    old, new = _shares(log, before, arms), _shares(log, after, arms)
    expected = np.zeros((len(log), arms))
    for number in range(FOLDS):
        inside, others = fold == number, log.where(fold != number)
        expected[inside] = _expected(others, value[fold != number], log.context[inside], arms)
        if learned is not None:
            new[inside] = _shares(log.where(inside), learned(others), arms)
    row = np.arange(len(log))
    ratio_new, ratio_old = new[row, log.arm] / log.propensity, old[row, log.arm] / log.propensity
    ratio = ratio_new - ratio_old
    score = ((new - old) * expected).sum(axis=1) + ratio * (value - expected[row, log.arm])
    return Gain(
        dr=float(score.mean()),
        ci=bootstrap(lambda weights: float(np.average(score, weights=weights)), log.unit),
        ips=float((ratio * value).mean()),
        snips=_normalised(ratio_new, value) - _normalised(ratio_old, value),
        decisions=len(log),
        effective=float(ratio_new.sum() ** 2 / max((ratio_new**2).sum(), 1e-12)),
    )


def simulated(decisions: int, answers: Mapping[str, Sequence[float]], weights: Weights, *, seed: int) -> Log:
    """A log of a made-up world whose truth is known: each arm's share of `answers` by context."""
    dice = np.random.default_rng(seed)
    context = dice.choice(sorted(answers), size=decisions)
    shares = np.array([weights[one] for one in context])
    arm = (dice.random(decisions)[:, None] > shares.cumsum(axis=1)).sum(axis=1).clip(max=shares.shape[1] - 1)
    likely = np.array([answers[one][at] for one, at in zip(context, arm, strict=True)])
    return Log(
        unit=np.arange(decisions).astype(str),
        context=context,
        arm=arm,
        propensity=shares[np.arange(decisions), arm],
        answered=dice.random(decisions) < likely,
        complained=np.zeros(decisions, dtype=bool),
        left=np.zeros(decisions, dtype=bool),
        cost=np.zeros(decisions),
        known=np.zeros((decisions, 0)),
    )


def _means(log: Log, arm: int, worth: Worth, dice: np.random.Generator) -> NDArray[np.float64]:
    """Draws of the posterior mean value of an arm, without its own cost."""
    here = log.arm == arm
    came = log.answered[here] + 2 * log.complained[here] + 4 * log.left[here]
    # Within a context propensities may have differed, by plan or over time: rows stand for those that had
    # another arm, and count for as many as they are worth (Kish).
    stands_for = 1 / log.propensity[here]
    seen = np.bincount(came.astype(np.int64), weights=stands_for, minlength=len(PRIOR))
    seen = seen * (stands_for.sum() / max((stands_for**2).sum(), 1e-12))
    bits = np.arange(len(PRIOR))
    worths = (bits & 1) - worth.complaint * (bits >> 1 & 1) - worth.left * (bits >> 2)
    drawn: NDArray[np.float64] = dice.dirichlet(np.array(PRIOR) + seen, size=DRAWS) @ worths
    return drawn


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
    for arm in range(arms):
        of_arm = log.arm == arm
        overall = float(value[of_arm].mean()) if of_arm.any() else 0.0
        for context in np.unique(contexts):
            here = value[of_arm & (log.context == context)]
            found[contexts == context, arm] = (here.sum() + 10 * overall) / (len(here) + 10)
    return found


def _normalised(ratio: NDArray[np.float64], value: NDArray[np.float64]) -> float:
    return float((ratio * value).sum() / max(ratio.sum(), 1e-12))
