"""The language model's own estimate of churn: one forward pass, and the two logits of its answer.

The model is asked whether the user will leave, and what it thinks of `yes` and of `no` as the first token of
its answer is the estimate. Nothing is generated. The question is text, so any model that has a tokenizer with
these two words as single tokens can be asked: the small one through onnxruntime-genai, GPT-OSS-20B through
transformers (`inference/training/base.py`) or a server that tells logits.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from inference.nano import Nano
from inference.prompt import MAX_SENTENCE_CHARS, OPENER, plain
from schemas.errors import InputError
from schemas.vocabulary import Locale

YES, NO = "yes", "no"
"""The answers, in every language: what a token of the tokenizers is in Chinese differs."""
_INSTRUCTIONS = {
    Locale.EN: "Will this user leave? Answer yes or no.",
    Locale.ZH: "这位用户会流失吗？回答yes或no。",
}


def question(sentences: Sequence[str], numbers: Mapping[str, float], locale: Locale = Locale.EN) -> str:
    """The text that asks for a user, up to where the answer begins.

    `sentences` are the encoder's, `numbers` the features behind them by name, rounded to whole ones.

    >>> text = question(("You logged in 3 times in the last 7 days.",), {"logins_7d": 3.0, "quiet_days": 1.7})
    >>> print(text[text.index("<|start|>user"):])
    <|start|>user<|message|>logins_7d=3 quiet_days=2
    You logged in 3 times in the last 7 days.<|end|><|start|>assistant<|channel|>final<|message|>
    """
    told = (plain(sentence)[:MAX_SENTENCE_CHARS] for sentence in sentences)
    user = "\n".join((" ".join(f"{name}={value:.0f}" for name, value in numbers.items()), *told))
    system = _INSTRUCTIONS[locale]
    return f"<|start|>system<|message|>{system}<|end|><|start|>user<|message|>{user}<|end|>{OPENER}"


def answer_ids(tokenizer: Tokenizer) -> tuple[int, int]:
    """The ids of `yes` and `no`.

    Raises:
        InputError: the tokenizer has one of them in pieces, so that no single logit stands for it.
    """
    found = [tokenizer.encode(answer, add_special_tokens=False).ids for answer in (YES, NO)]
    for answer, ids in zip((YES, NO), found, strict=True):
        if len(ids) != 1:
            raise InputError(f"the tokenizer has {answer!r} in {len(ids)} pieces: it cannot be asked for")
    return found[0][0], found[1][0]


def probability(logits: NDArray[np.float32], ids: tuple[int, int]) -> float:
    """The probability of `yes` where only `yes` and `no` may be said.

    `logits` are those of the whole vocabulary at the last position, shape (vocabulary,); `ids` as from
    `answer_ids`. A softmax over two is a logistic of their difference.

    >>> probability(np.array([0.0, 1.0, 1.0], dtype=np.float32), (1, 2))
    0.5
    """
    difference = float(logits[ids[0]]) - float(logits[ids[1]])
    return float(1 / (1 + np.exp(-np.clip(difference, -80, 80))))


class Estimator:
    """Asks the small model in this process."""

    def __init__(self, nano: Nano) -> None:
        self._nano = nano
        self._ids = answer_ids(nano.tokenizer)

    def estimate(self, text: str) -> float:
        """The probability of `yes` to a `question`, 0 to 1.

        Raises:
            ValueError: the question is longer than the model's positions.
        """
        return probability(self._nano.logits(text), self._ids)
