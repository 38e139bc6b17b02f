"""BG/NBD, the model of repeat buying, over active days: a survival model to compare the churn model with.

Fader, Hardie and Lee, "Counting your customers" the easy way (Marketing Science 24, 2005).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import betaln, gammaln

Numbers = NDArray[np.float64]
LEAD_DAYS, LABEL_DAYS = 3, 30


def fit(repeats: Numbers, last: Numbers, known: Numbers) -> Callable[[Numbers, Numbers, Numbers], Numbers]:
    """Fits the four parameters by maximum likelihood and gives the probability of silence, each [rows].

    `repeats` counts active days after the first, `last` is the day of the last of them and `known` the days
    since the first, both from the first on.
    """

    def loss(logs: Numbers) -> float:
        r, alpha, a, b = np.exp(logs)
        common = gammaln(r + repeats) - gammaln(r) + r * np.log(alpha)
        alive = betaln(a, b + repeats) - betaln(a, b) - (r + repeats) * np.log(alpha + known)
        gone = (
            betaln(a + 1, b + np.maximum(repeats, 1) - 1)
            - betaln(a, b)
            - (r + repeats) * np.log(alpha + last)
        )
        likelihood = np.where(repeats > 0, np.logaddexp(alive, gone), alive)
        return -float(np.mean(common + likelihood))

    found = minimize(loss, np.zeros(4), method="Nelder-Mead", options={"maxiter": 400})
    r, alpha, a, b = np.exp(found.x)

    def silence(repeats: Numbers, last: Numbers, known: Numbers) -> Numbers:
        odds_gone = a / (b + np.maximum(repeats, 1) - 1) * ((alpha + known) / (alpha + last)) ** (r + repeats)
        alive = 1 / (1 + np.where(repeats > 0, odds_gone, 0))
        at_rest = ((alpha + known + LEAD_DAYS) / (alpha + known + LEAD_DAYS + LABEL_DAYS)) ** (r + repeats)
        return np.asarray(1 - alive * (1 - at_rest))

    return silence
