"""The small model at work: prompt in, script out, token by token, on one thread."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnxruntime_genai
from numpy.typing import NDArray
from tokenizers import Tokenizer

from inference.prompt import STOPS

NAME = "holdfast-nano"
"""What records call it."""
MAX_POSITIONS = 512
"""Tokens of prompt and answer together."""
_THREADS = 1
# The model runs beside others on few cores, and its matrices are too small for a second thread.
_SESSION = {
    "model": {
        "decoder": {"session_options": {"intra_op_num_threads": _THREADS, "inter_op_num_threads": _THREADS}}
    }
}


class Sampling(NamedTuple):
    """How to choose the next token, by vLLM's names. Temperature 0 takes the likeliest."""

    max_tokens: int = 96
    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 50
    seed: int | None = None

    @classmethod
    def of(cls, parameters: dict[str, Any]) -> "Sampling":
        """The known ones of `parameters`; the others are for larger models.

        >>> Sampling.of({"temperature": 0.5, "frequency_penalty": 1.0})
        Sampling(max_tokens=96, temperature=0.5, top_p=1.0, top_k=50, seed=None)
        """
        return cls(**{name: value for name, value in parameters.items() if name in cls._fields})


class Nano:
    """The model in `folder`: ONNX, tokenizer and configuration, as the export leaves them."""

    def __init__(self, folder: Path) -> None:
        config = onnxruntime_genai.Config(str(folder))
        config.overlay(json.dumps(_SESSION))
        self._model = onnxruntime_genai.Model(config)
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._vocabulary = self.tokenizer.get_vocab_size()
        self._stops = {self.tokenizer.token_to_id(stop) for stop in STOPS}

    def generate(self, prompt: str, sampling: Sampling, stopped: Callable[[], bool]) -> Iterator[str]:
        """The answer in pieces, as soon as each is known. `stopped` is asked before each token.

        Raises:
            ValueError: the prompt leaves no room for an answer.
        """
        asked = self._asked(prompt)
        room = min(sampling.max_tokens, MAX_POSITIONS - len(asked))
        generator = onnxruntime_genai.Generator(self._model, self._parameters(sampling))
        if stopped():
            return
        generator.append_tokens(asked)
        answer: list[int] = []
        said = ""
        while len(answer) < room and not stopped():
            generator.generate_next_token()
            token = int(generator.get_next_tokens()[0])
            if token in self._stops:
                break
            answer.append(token)
            text = self.tokenizer.decode(answer, skip_special_tokens=True)
            # A character may be spread over tokens: it is told when it is whole.
            if not text.endswith("\ufffd"):
                yield text[len(said) :]
                said = text

    def logits(self, prompt: str) -> NDArray[np.float32]:
        """What the model makes of each token as the answer's first, in one pass: shape (vocabulary,).

        Raises:
            ValueError: the prompt is too long.
        """
        generator = onnxruntime_genai.Generator(self._model, self._parameters(Sampling()))
        generator.append_tokens(self._asked(prompt))
        all_logits = np.asarray(generator.get_logits(), dtype=np.float32)
        last: NDArray[np.float32] = all_logits.reshape(-1, self._vocabulary)[-1]
        return last

    def _asked(self, prompt: str) -> NDArray[np.int32]:
        """The ids of `prompt`, which must leave room for an answer."""
        ids = self.tokenizer.encode(prompt, add_special_tokens=False).ids
        if len(ids) >= MAX_POSITIONS:
            raise ValueError(f"the prompt has {len(ids)} tokens, at most {MAX_POSITIONS - 1} allowed")
        return np.array(ids, dtype=np.int32)

    def _parameters(self, sampling: Sampling) -> Any:
        parameters = onnxruntime_genai.GeneratorParams(self._model)
        # The cache must hold a whole sliding window, so it always gets its full length.
        options: dict[str, Any] = {"max_length": MAX_POSITIONS, "do_sample": sampling.temperature > 0}
        if sampling.temperature > 0:
            options |= {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k}
            if sampling.seed is not None:
                options["random_seed"] = sampling.seed
        parameters.set_search_options(**options)
        return parameters
