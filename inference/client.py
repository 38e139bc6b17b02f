"""The client of the language model: a prompt and an absolute deadline in, a script or one error out.

Speaks the vLLM backend's signature over streaming gRPC, so that the small model and a large one are asked
alike.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from hashlib import blake2b
from types import TracebackType
from typing import Any, Self

import grpc
import msgspec
import numpy as np
from msgspec import Struct, field
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from inference.registry import Serving, Watch
from inference.tritonserver import MODEL, MODEL_REPOSITORY
from schemas.errors import BreakerOpen, DeadlineExceeded, GenerationError, HoldfastError, UnavailableError

BREAKER_THRESHOLD = 5
"""Failures in a row after which the model is not asked any more."""
BREAKER_OPEN_S = 2.0
"""Seconds until it is asked again."""
FAIR_MS = 1000
"""A missed deadline counts as a failure of the server only where the model had at least this long: a short
one says more about the caller's hurry."""
TEMPERATURE, TOP_P, TOP_K, MAX_TOKENS = 0.5, 0.9, 50, 96
_CHANNEL = [
    # gRPC would wait up to two minutes before it tries a server again that was away.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
# While Triton stops, it does not know its models any more: that is absence, and no fault of the request.
_ABSENT = {"StatusCode.UNAVAILABLE", "StatusCode.NOT_FOUND"}
_TOO_LATE = {"StatusCode.DEADLINE_EXCEEDED", "StatusCode.CANCELLED"}


class Generation(Struct, frozen=True, kw_only=True):
    """What the model wrote: a Mustache template. `steps` holds the ms that each step took.

    `prompt` is the digest of what it was asked, `seed` where its chance began.
    """

    text: str
    model: str
    model_version: str
    prompt: str = ""
    seed: int = 0
    steps: dict[str, float] = field(default_factory=dict)


class ScriptModel:
    """The model `script` of the Triton at `address` (host:port), each user's version of it by `serving`.

    One per event loop; close it, or use it in `async with`. It connects when it is first asked, and again by
    itself after the server was away. Without `serving`, users get what this project's own repository says.
    """

    def __init__(
        self,
        address: str,
        serving: Callable[[], Serving] | None = None,
        *,
        threshold: int = BREAKER_THRESHOLD,
        open_s: float = BREAKER_OPEN_S,
    ) -> None:
        self._address = address
        self._serving = serving or Watch(MODEL_REPOSITORY, MODEL).serving
        self._client: InferenceServerClient | None = None
        self._name: str | None = None
        # A caller that gives up has not found the server at fault.
        self._breakers = AsyncCircuitBreakerFactory(
            default_threshold=threshold, default_ttl=open_s, exclude=[asyncio.CancelledError]
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection. Asked again, it opens a new one."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def ready(self, timeout_s: float = 1.0) -> bool:
        """Whether the server has the promoted version ready. Does not raise, and does not ask the breaker."""
        version = self.version_for("")
        with suppress(InferenceServerException, grpc.RpcError):
            return bool(await self._connection().is_model_ready(MODEL, version, client_timeout=timeout_s))
        return False

    def version_for(self, user: str) -> str:
        """The version that writes for `user` (`tenant/user_id`; "" is nobody) at this moment."""
        return self._serving().version_for(user)

    async def generate(
        self, prompt: str, deadline_ms: float, user: str = "", *, seed: int = 0, max_tokens: int = MAX_TOKENS
    ) -> Generation:
        """The answer of `user`'s version to `prompt` (see `inference.prompt`) before `deadline_ms`, epoch ms.

        Where the deadline passes first, the model stops writing. The small model answers the same to the same
        `seed` and prompt; a large one mostly, as what a GPU adds up depends on what else it does.

        Raises:
            DeadlineExceeded: there was no whole answer by then.
            BreakerOpen: the model failed too often just now and was not asked.
            UnavailableError: the server is away, or is stopping or starting; asking again later may help.
            GenerationError: the model answered with an error, or with nothing.
        """
        began_ms = _now_ms()
        left_ms = deadline_ms - began_ms
        if left_ms <= 0:
            raise _late(left_ms)
        hurried: DeadlineExceeded | None = None
        try:
            async with await self._breakers.get_breaker(self._address):
                try:
                    # A call whose own deadline passes while gRPC still prepares it never ends by itself.
                    async with asyncio.timeout(left_ms / 1000):
                        asked = _request(
                            prompt, self.version_for(user), deadline_ms, sampling(seed, max_tokens)
                        )
                        made = await self._ask(asked, deadline_ms)
                except (TimeoutError, InferenceServerException, grpc.RpcError) as error:
                    ours = self._translated(error, deadline_ms, left_ms)
                    if not isinstance(ours, DeadlineExceeded) or left_ms >= FAIR_MS:
                        raise ours from error
                    hurried = ours
        except OpenedState:
            raise BreakerOpen(
                f"Triton at {self._address} failed too often just now and was not asked"
            ) from None
        if hurried is not None:
            raise hurried
        return msgspec.structs.replace(
            made, prompt=digest(prompt), seed=seed, steps={"generate": _now_ms() - began_ms}
        )

    def _connection(self) -> InferenceServerClient:
        if self._client is None:
            self._client = InferenceServerClient(self._address, channel_args=_CHANNEL)
        return self._client

    async def _ask(self, request: dict[str, Any], deadline_ms: float) -> Generation:
        name = await self._served_model(deadline_ms)
        parts: list[str] = []
        version = ""
        left_s = max(0.001, (deadline_ms - _now_ms()) / 1000)
        async for result, error in self._connection().stream_infer(_once(request), stream_timeout=left_s):
            if error is not None:
                raise error
            response = result.get_response()
            version = response.model_version
            output = result.as_numpy("text_output")
            if output is not None and output.size:
                parts += [part.decode(errors="replace") for part in output.reshape(-1)]
            if response.parameters["triton_final_response"].bool_param:
                break
        text = "".join(parts).strip()
        if not text:
            raise GenerationError(f"{name} {version} answered with nothing")
        return Generation(text=text, model=name, model_version=version)

    async def _served_model(self, deadline_ms: float) -> str:
        """Which model stands behind the name, asked once a connection."""
        if self._name is None:
            left_s = max(0.001, (deadline_ms - _now_ms()) / 1000)
            config = (await self._connection().get_model_config(MODEL, client_timeout=left_s)).config
            known = "served_model" in config.parameters
            self._name = str(config.parameters["served_model"].string_value) if known else MODEL
        return self._name

    def _translated(
        self,
        error: TimeoutError | InferenceServerException | grpc.RpcError,
        deadline_ms: float,
        left_ms: float,
    ) -> HoldfastError:
        """The one place where Triton's errors become ours."""
        # By then gRPC may say anything: a call that was over before its message was sent is INTERNAL to it.
        if isinstance(error, TimeoutError) or _now_ms() >= deadline_ms:
            return _late(left_ms)
        if isinstance(error, InferenceServerException):
            status, message = str(error.status()), str(error.message())
        else:
            status, message = str(error.code()), str(error)
        if status in _TOO_LATE or "deadline passed" in message:
            return _late(left_ms)
        if status in _ABSENT or "is not ready" in message or "unknown model" in message:
            # Another model may come up in its place.
            self._name = None
            return UnavailableError(f"Triton at {self._address} does not answer for {MODEL}: {message}")
        return GenerationError(f"{MODEL} failed: {message}")


def sampling(seed: int, max_tokens: int = MAX_TOKENS) -> dict[str, Any]:
    """How an answer is drawn, by vLLM's names."""
    drawn = {"temperature": TEMPERATURE, "top_p": TOP_P, "top_k": TOP_K, "seed": seed}
    return {"max_tokens": max_tokens, **drawn}


def digest(prompt: str) -> str:
    """What tells a question from all others: the prompt, and how its answer is drawn.

    >>> digest("Hello?") == digest("Hello?"), len(digest("Hello?")), digest("Hello!") == digest("Hello?")
    (True, 16, False)
    """
    return blake2b(json.dumps([prompt, sampling(0)]).encode(), digest_size=8).hexdigest()


def seed_of(*what: str | int) -> int:
    """The seed of what is written for `what`: for the same again, the same.

    >>> seed_of("62b2", 0) == seed_of("62b2", 0), seed_of("62b2", 0) == seed_of("62b2", 1)
    (True, False)
    """
    return int.from_bytes(blake2b(json.dumps(what).encode(), digest_size=4).digest()) >> 1


def _late(left_ms: float) -> DeadlineExceeded:
    return DeadlineExceeded(f"no script within {max(0.0, left_ms):.0f} ms")


def _now_ms() -> float:
    return time.time() * 1000


async def _once(request: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    yield request


def _request(prompt: str, version: str, deadline_ms: float, drawn: dict[str, Any]) -> dict[str, Any]:
    values: tuple[tuple[str, str, Any], ...] = (
        ("text_input", "BYTES", np.array([prompt.encode()], dtype=np.object_)),
        ("stream", "BOOL", np.array([False])),
        ("sampling_parameters", "BYTES", np.array([json.dumps(drawn).encode()], dtype=np.object_)),
        ("exclude_input_in_output", "BOOL", np.array([True])),
    )
    inputs = []
    for name, kind, value in values:
        tensor = InferInput(name, [1], kind)
        tensor.set_data_from_numpy(value)
        inputs.append(tensor)
    return {
        "model_name": MODEL,
        "model_version": version,
        "inputs": inputs,
        # The small model gives up by itself; the gRPC deadline cancels in any backend.
        "parameters": {"deadline_ms": int(deadline_ms)},
        "enable_empty_final_response": True,
    }
