"""How fast a shape of GPT-OSS writes: random weights, real work. For benchmarks; needs the extra `train`."""

import copy
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import product

import torch
from msgspec import Struct
from transformers import GptOssConfig, GptOssForCausalLM, StaticCache
from transformers.utils import logging

from inference.training import model

_WARM_UP = 3
_REPEATS = 5


class Pace(Struct, frozen=True, kw_only=True):
    """Milliseconds until the first token of a batch is there, and for each one after it; medians."""

    batch: int
    prompt_tokens: int
    cuda_graphs: bool
    first_ms: float
    token_ms: float


def device() -> tuple[str, str]:
    """`cuda` or `cpu`, and what it is called."""
    if torch.cuda.is_available():
        return "cuda", str(torch.cuda.get_device_name())
    return "cpu", "the CPU"


def shape(name: str) -> GptOssConfig:
    """The shape `gpt-oss-20b`, or `nano`, that of the small model."""
    if name == "nano":
        return model.config(0, 1)
    # The defaults are those of the model with 120 billion parameters.
    return GptOssConfig(num_hidden_layers=24, num_local_experts=32)


def build(config: GptOssConfig, device: str) -> GptOssForCausalLM:
    """A model with random weights in BF16, made on `device` (`cuda` or `cpu`)."""
    logging.set_verbosity_error()
    config = copy.deepcopy(config)
    config._attn_implementation = "eager"  # the one with attention sinks that needs no kernels from elsewhere
    config._experts_implementation = "grouped_mm" if device == "cuda" else "eager"
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            return GptOssForCausalLM(config).eval()
    finally:
        torch.set_default_dtype(before)


@torch.inference_mode()
def paces(
    made: GptOssForCausalLM, batches: tuple[int, ...], prompts: tuple[int, ...], tokens: int
) -> Iterator[Pace]:
    """The pace for each batch and prompt length, with `tokens` written; on CUDA then with graphs as well.

    Raises:
        RuntimeError: the device has not enough memory, or cannot do it.
    """
    graphs = (False, True) if made.device.type == "cuda" else (False,)
    for cuda_graphs, batch, prompt_tokens in product(graphs, batches, prompts):
        first_ms, token_ms = _Run(made, batch, prompt_tokens, tokens).measure(cuda_graphs)
        yield Pace(
            batch=batch,
            prompt_tokens=prompt_tokens,
            cuda_graphs=cuda_graphs,
            first_ms=first_ms,
            token_ms=token_ms,
        )


class _Run:
    """A batch of prompts of random tokens, answered greedily."""

    def __init__(self, made: GptOssForCausalLM, batch: int, prompt_tokens: int, tokens: int) -> None:
        self._made = made
        self._tokens = tokens
        self._prompt = torch.randint(2, made.config.vocab_size, (batch, prompt_tokens), device=made.device)
        # Every layer keeps all positions, behind the mask of its window: a window that rolls over takes steps
        # that a graph cannot hold.
        whole = copy.deepcopy(made.config)
        whole.layer_types = ["full_attention"] * whole.num_hidden_layers
        self._cache = StaticCache(config=whole, max_cache_len=prompt_tokens + tokens + _WARM_UP)
        self._last = self._prompt[:, :1].clone()

    def measure(self, cuda_graphs: bool) -> tuple[float, float]:
        """Milliseconds for the prompt and its first token, and for each further one."""
        for _ in range(_WARM_UP):
            self._first()
        first_ms = statistics.median(self._timed(self._first) for _ in range(_REPEATS))
        for _ in range(_WARM_UP):
            self._next()
        step = self._captured() if cuda_graphs else self._next
        self._first()
        return first_ms, statistics.median(self._timed(step) for _ in range(self._tokens - 1))

    def _first(self) -> None:
        self._cache.reset()
        self._write(self._prompt)

    def _next(self) -> None:
        self._write(self._last)

    def _write(self, ids: torch.Tensor) -> None:
        logits = self._made(ids, past_key_values=self._cache, use_cache=True, logits_to_keep=1).logits
        self._last.copy_(logits.argmax(-1))

    def _captured(self) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._next()
        return graph.replay

    def _timed(self, work: Callable[[], None]) -> float:
        self._synchronise()
        begun_s = time.perf_counter()
        work()
        self._synchronise()
        return (time.perf_counter() - begun_s) * 1000

    def _synchronise(self) -> None:
        if self._made.device.type == "cuda":
            torch.cuda.synchronize()
