"""The client against a gRPC server in this process that speaks Triton's protocol and does as told."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from inference.client import FAIR_MS, ScriptModel
from inference.registry import Canary, Serving
from schemas.errors import BreakerOpen, DeadlineExceeded, GenerationError, UnavailableError

Answer = Callable[[Any, Any], AsyncIterator[Any]]


def now_ms() -> float:
    return time.time() * 1000


def said(text: str, *, final: bool) -> Any:
    response = service_pb2.ModelInferResponse(model_name="script", model_version="3")
    response.parameters["triton_final_response"].bool_param = final
    if text:
        raw = text.encode()
        response.outputs.add(name="text_output", datatype="BYTES", shape=[1])
        response.raw_output_contents.append(len(raw).to_bytes(4, "little") + raw)
    return service_pb2.ModelStreamInferResponse(infer_response=response)


class FakeTriton(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]  # generated, untyped
    """Answers as `answer` does; remembers what it was asked and how many asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.cancelled = asyncio.Event()
        self.answer: Answer = self.whole
        self.port = 0

    async def whole(self, request: Any, context: Any) -> AsyncIterator[Any]:
        yield said("Hello {{name}}, ", final=False)
        yield said("come back. ", final=False)
        yield said("", final=True)

    async def never(self, request: Any, context: Any) -> AsyncIterator[Any]:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        yield said("too late", final=True)

    async def ModelStreamInfer(self, requests: Any, context: Any) -> AsyncIterator[Any]:  # noqa: N802  # gRPC's name
        async for request in requests:
            self.asked.append(request)
            async for response in self.answer(request, context):
                yield response

    async def ModelConfig(self, request: Any, context: Any) -> Any:  # noqa: N802  # gRPC's name
        response = service_pb2.ModelConfigResponse()
        response.config.parameters["served_model"].string_value = "fake-model"
        return response

    async def ModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802  # gRPC's name
        return service_pb2.ModelMetadataResponse(name="script", versions=["3"])

    async def ModelReady(self, request: Any, context: Any) -> Any:  # noqa: N802  # gRPC's name
        return service_pb2.ModelReadyResponse(ready=True)


async def serve(fake: FakeTriton, port: int = 0) -> tuple[grpc.aio.Server, int]:
    server = grpc.aio.server()
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(fake, server)
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    return server, port


@pytest.fixture
async def fake() -> AsyncIterator[FakeTriton]:
    fake = FakeTriton()
    server, fake.port = await serve(fake)
    yield fake
    await server.stop(None)


@pytest.fixture
async def model(fake: FakeTriton) -> AsyncIterator[ScriptModel]:
    async with ScriptModel(f"127.0.0.1:{fake.port}", threshold=2, open_s=0.2) as model:
        yield model


async def test_pieces_are_put_together_and_name_who_wrote_them(model: ScriptModel) -> None:
    made = await model.generate("prompt", now_ms() + 2000)
    assert (made.text, made.model, made.model_version) == ("Hello {{name}}, come back.", "fake-model", "3")
    assert made.steps["generate"] > 0


async def test_the_request_is_what_the_vllm_backend_takes(model: ScriptModel, fake: FakeTriton) -> None:
    deadline_ms = now_ms() + 2000
    await model.generate("a prompt", deadline_ms, max_tokens=7)
    request = fake.asked[0]
    assert [one.name for one in request.inputs] == [
        "text_input",
        "stream",
        "sampling_parameters",
        "exclude_input_in_output",
    ]
    assert request.raw_input_contents[0][4:] == b"a prompt"
    assert b'"max_tokens": 7' in request.raw_input_contents[2]
    assert request.parameters["deadline_ms"].int64_param == int(deadline_ms)


async def test_each_user_s_version_is_asked_for_and_the_one_that_answered_is_named(fake: FakeTriton) -> None:
    serving = Serving(promoted="1", canary=Canary("2", 0.5))
    users = [f"acme/u{number}" for number in range(8)]
    async with ScriptModel(f"127.0.0.1:{fake.port}", lambda: serving) as model:
        made = [await model.generate("prompt", now_ms() + 2000, user) for user in users]
        assert {model.version_for(user) for user in users} == {"1", "2"}
    assert [one.model_version for one in fake.asked] == [serving.version_for(user) for user in users]
    assert {one.model_version for one in made} == {"3"}, "what Triton says of itself"


async def test_a_promotion_holds_from_the_next_request_on(fake: FakeTriton) -> None:
    serving = Serving(promoted="1")
    async with ScriptModel(f"127.0.0.1:{fake.port}", lambda: serving) as model:
        await model.generate("prompt", now_ms() + 2000)
        serving = Serving(promoted="2", before=("1",))
        await model.generate("prompt", now_ms() + 2000)
    assert [one.model_version for one in fake.asked] == ["1", "2"]


async def test_a_model_that_is_too_slow_is_cancelled_at_the_deadline(
    model: ScriptModel, fake: FakeTriton
) -> None:
    await model.generate("prompt", now_ms() + 2000)
    fake.answer = fake.never
    with pytest.raises(DeadlineExceeded):
        await model.generate("prompt", now_ms() + 80)
    async with asyncio.timeout(5):
        await fake.cancelled.wait()


async def test_a_deadline_that_has_passed_asks_nobody(model: ScriptModel, fake: FakeTriton) -> None:
    with pytest.raises(DeadlineExceeded):
        await model.generate("prompt", now_ms() - 1)
    assert fake.asked == []


async def test_callers_in_a_hurry_do_not_open_the_breaker(model: ScriptModel, fake: FakeTriton) -> None:
    fake.answer = fake.never
    for _ in range(4):
        with pytest.raises(DeadlineExceeded):
            await model.generate("prompt", now_ms() + 30)
    fake.answer = fake.whole
    assert await model.generate("prompt", now_ms() + 2000)


async def test_whatever_grpc_calls_it_after_the_deadline_it_is_late(
    model: ScriptModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    await model.generate("prompt", now_ms() + 2000)

    async def broken_off(*asked: Any, **options: Any) -> AsyncIterator[Any]:
        time.sleep(0.03)  # nobody else gets a turn, so that no timeout comes before
        raise InferenceServerException("Internal error from Core", status="StatusCode.INTERNAL")
        yield

    monkeypatch.setattr(InferenceServerClient, "stream_infer", broken_off)
    with pytest.raises(DeadlineExceeded):
        await model.generate("prompt", now_ms() + 20)


async def test_a_server_that_hangs_opens_the_breaker(model: ScriptModel, fake: FakeTriton) -> None:
    fake.answer = fake.never
    for _ in range(2):
        with pytest.raises(DeadlineExceeded):
            await model.generate("prompt", now_ms() + FAIR_MS + 50)
    with pytest.raises(BreakerOpen):
        await model.generate("prompt", now_ms() + 2000)


async def test_an_error_of_the_model_is_a_generation_error(model: ScriptModel, fake: FakeTriton) -> None:
    async def fails(request: Any, context: Any) -> AsyncIterator[Any]:
        yield service_pb2.ModelStreamInferResponse(error_message="the prompt has 900 tokens")

    fake.answer = fails
    with pytest.raises(GenerationError, match="900 tokens") as raised:
        await model.generate("prompt", now_ms() + 2000)
    assert type(raised.value) is GenerationError


async def test_an_empty_answer_is_a_generation_error(model: ScriptModel, fake: FakeTriton) -> None:
    async def empty(request: Any, context: Any) -> AsyncIterator[Any]:
        yield said(" ", final=True)

    fake.answer = empty
    with pytest.raises(GenerationError, match="nothing"):
        await model.generate("prompt", now_ms() + 2000)


async def test_a_server_that_is_stopping_does_not_know_its_model_and_counts_as_away(
    model: ScriptModel, fake: FakeTriton
) -> None:
    async def stopping(request: Any, context: Any) -> AsyncIterator[Any]:
        await context.abort(grpc.StatusCode.NOT_FOUND, "Request for unknown model: 'script' is not found")
        yield None

    fake.answer = stopping
    with pytest.raises(UnavailableError, match=r"127\.0\.0\.1"):
        await model.generate("prompt", now_ms() + 2000)


async def test_the_breaker_opens_while_the_server_is_away_and_closes_when_it_is_back() -> None:
    server, port = await serve(FakeTriton())
    async with ScriptModel(f"127.0.0.1:{port}", threshold=2, open_s=0.2) as model:
        await model.generate("prompt", now_ms() + 2000)
        await server.stop(None)
        for _ in range(2):
            with pytest.raises(UnavailableError):
                await model.generate("prompt", now_ms() + 2000)
        with pytest.raises(BreakerOpen):
            await model.generate("prompt", now_ms() + 2000)
        assert not await model.ready()
        server, _ = await serve(FakeTriton(), port)
        async with asyncio.timeout(10):
            while True:
                try:
                    assert (await model.generate("prompt", now_ms() + 2000)).model == "fake-model"
                    break
                except (UnavailableError, BreakerOpen):
                    await asyncio.sleep(0.05)
        await server.stop(None)


async def test_ready_is_false_where_nobody_listens_and_true_where_the_model_is(model: ScriptModel) -> None:
    assert await model.ready()
    async with ScriptModel("127.0.0.1:1") as nobody:
        assert not await nobody.ready(timeout_s=0.2)
