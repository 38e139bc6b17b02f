"""The promoted models of risk and sentiment, as the assessor asks them."""

from schemas.errors import InputError
from streams.agents.assessor import Scorer


def load() -> Scorer:
    """The promoted models.

    Raises:
        InputError: there are none.
    """
    raise InputError("no model of the churn risk is there")
