"""The client and the committed model behind a real Triton, started as `command` says."""

import asyncio
import itertools
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient

from inference.client import ScriptModel
from inference.prompt import prompt
from inference.registry import promoted
from inference.training.corpus import examples
from inference.training.evaluate import judge
from inference.tritonserver import MODEL, MODEL_REPOSITORY, command
from schemas.errors import BreakerOpen, DeadlineExceeded, GenerationError, UnavailableError

pytestmark = pytest.mark.real
HELD_OUT = [example.profile for example in itertools.islice(examples(4, held_out=True), 10)]


def now_ms() -> float:
    return time.time() * 1000


def free_ports(count: int) -> list[int]:
    listening = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in listening]
    for one in listening:
        one.close()
    return ports


class Triton:
    """A server that the test starts and stops as it likes, always on the same ports."""

    def __init__(self, work_dir: Path, repository: Path = MODEL_REPOSITORY) -> None:
        self.ports = free_ports(3)
        self.work_dir, self.repository = work_dir, repository
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.ports[0]}"

    def start(self) -> None:
        argv, env = command(self.repository, *self.ports, self.work_dir)
        with (self.work_dir / "triton.log").open("ab") as log:
            self.process = subprocess.Popen(argv, env=env, stdout=log, stderr=log)

    def end(self, number: int) -> None:
        if self.process is not None:
            os.kill(self.process.pid, number)
            self.process.wait(30)
            self.process = None


async def until_ready(model: ScriptModel) -> None:
    async with asyncio.timeout(60):
        while not await model.ready():
            await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Triton]:
    triton = Triton(tmp_path_factory.mktemp("triton"))
    triton.start()
    yield triton
    triton.end(signal.SIGTERM)


@pytest.fixture
async def model(triton: Triton) -> AsyncIterator[ScriptModel]:
    async with ScriptModel(triton.address, threshold=2, open_s=0.5) as model:
        await until_ready(model)
        yield model


async def test_it_writes_what_the_header_asks_for(model: ScriptModel) -> None:
    made = [await model.generate(prompt(profile), now_ms() + 5000) for profile in HELD_OUT]
    right = [judge(profile, one.text)["all"] for profile, one in zip(HELD_OUT, made, strict=True)]
    assert sum(right) >= len(right) - 2
    assert {(one.model, one.model_version) for one in made} == {("holdfast-nano", promoted(MODEL).name)}


async def test_requests_that_come_together_are_all_answered(model: ScriptModel) -> None:
    asked = (model.generate(prompt(profile), now_ms() + 20_000) for profile in HELD_OUT)
    assert all(one.text for one in await asyncio.gather(*asked))


async def test_what_waits_past_its_deadline_is_not_begun(model: ScriptModel) -> None:
    """Far more work than fits the deadline: what is late fails, and the model is free again at once."""
    await model.generate(prompt(HELD_OUT[0]), now_ms() + 5000)
    asked = (model.generate(prompt(profile), now_ms() + 60) for profile in HELD_OUT * 10)
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(one, DeadlineExceeded) for one in results) > len(results) / 2
    assert (await model.generate(prompt(HELD_OUT[0]), now_ms() + 5000)).text


async def test_the_model_itself_gives_up_at_an_absolute_deadline(triton: Triton, model: ScriptModel) -> None:
    """Even where the caller waits on: the time in the queue counts too."""
    _, error = await ask(triton, prompt(HELD_OUT[0]), deadline_ms=int(now_ms()) - 1)
    assert error is not None and "deadline passed" in str(error)


async def test_the_prompt_comes_back_unless_it_is_excluded_as_with_vllm(
    triton: Triton, model: ScriptModel
) -> None:
    asked = prompt(HELD_OUT[0])
    text, _ = await ask(triton, asked)
    assert text.startswith(asked) and len(text) > len(asked)


async def test_a_prompt_that_is_too_long_fails_alone(model: ScriptModel) -> None:
    with pytest.raises(GenerationError, match="at most 511"):
        await model.generate("too long " * 600, now_ms() + 5000)
    assert (await model.generate(prompt(HELD_OUT[0]), now_ms() + 5000)).text


async def test_the_breaker_opens_when_the_server_is_killed_and_closes_after_it_is_back(
    triton: Triton, model: ScriptModel
) -> None:
    await model.generate(prompt(HELD_OUT[0]), now_ms() + 5000)
    triton.end(signal.SIGKILL)
    raised = []
    for _ in range(4):
        with pytest.raises((UnavailableError, BreakerOpen)) as one:
            await model.generate(prompt(HELD_OUT[0]), now_ms() + 1000)
        raised.append(one.type)
    assert raised[0] is UnavailableError and raised[-1] is BreakerOpen
    triton.start()
    await until_ready(model)
    await asyncio.sleep(0.6)
    assert (await model.generate(prompt(HELD_OUT[0]), now_ms() + 5000)).model == "holdfast-nano"


async def ask(triton: Triton, text: str, deadline_ms: int | None = None) -> tuple[str, Any]:
    """One request straight to Triton, without our client."""
    tensor = InferInput("text_input", [1], "BYTES")
    tensor.set_data_from_numpy(np.array([text.encode()], dtype=np.object_))
    sampling = InferInput("sampling_parameters", [1], "BYTES")
    sampling.set_data_from_numpy(np.array([json.dumps({"max_tokens": 20}).encode()], dtype=np.object_))
    request: dict[str, Any] = {"model_name": "script", "inputs": [tensor, sampling]}
    if deadline_ms is not None:
        request["parameters"] = {"deadline_ms": deadline_ms}

    async def once() -> AsyncIterator[dict[str, Any]]:
        yield request

    client = InferenceServerClient(triton.address)
    try:
        async for result, error in client.stream_infer(once(), stream_timeout=10):
            return ("" if error else result.as_numpy("text_output")[0].decode()), error
    finally:
        await client.close()
    raise AssertionError("no response")
