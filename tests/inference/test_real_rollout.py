"""Versions tried, promoted and rolled back on a real Triton, while scripts are asked for all the time."""

import asyncio
import itertools
import shutil
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from inference import registry
from inference.client import ScriptModel
from inference.prompt import prompt
from inference.registry import Serving, Watch
from inference.rollout import CONFIG, Rollout, set_policy
from inference.training.corpus import examples
from inference.tritonserver import MODEL, MODEL_REPOSITORY
from schemas.errors import InputError
from tests.inference.test_real_triton import Triton, now_ms, until_ready

pytestmark = pytest.mark.real
PROMPTS = [prompt(example.profile) for example in itertools.islice(examples(4), 20)]
PAUSE_S = 0.05


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two versions of the small model that differ in their number alone, and one that is broken."""
    model = tmp_path / "models" / MODEL
    for version in "123":
        shutil.copytree(registry.promoted(MODEL), model / version)
    shutil.copyfile(MODEL_REPOSITORY / MODEL / CONFIG, model / CONFIG)
    set_policy(model, "1")
    (model / "3" / "model.onnx").write_bytes(b"no model")
    return model.parent


@pytest.fixture
def triton(tmp_path: Path, repository: Path) -> Iterator[Triton]:
    triton = Triton(tmp_path, repository)
    triton.start()
    yield triton
    triton.end(signal.SIGTERM)


@asynccontextmanager
async def asking(model: ScriptModel) -> AsyncIterator[Counter[str]]:
    """Asks for one user after the other while the block runs; counts the answers by version."""
    answers: Counter[str] = Counter()
    under_way: set[asyncio.Task[None]] = set()

    async def ask(number: int) -> None:
        user = f"acme/u{number}"
        before = model.version_for(user)
        made = await model.generate(PROMPTS[number % len(PROMPTS)], now_ms() + 10_000, user)
        assert made.model_version in (before, model.version_for(user)), "the record names the user's version"
        answers[made.model_version] += 1

    async def ask_for_ever() -> None:
        for number in itertools.count():
            under_way.add(asyncio.create_task(ask(number)))
            await asyncio.sleep(PAUSE_S)

    pacing = asyncio.create_task(ask_for_ever())
    try:
        yield answers
    finally:
        pacing.cancel()
        await asyncio.gather(*under_way)  # no request failed


async def test_no_request_fails_while_the_version_changes(triton: Triton, repository: Path) -> None:
    rollout = Rollout(repository, MODEL, triton.address)
    async with ScriptModel(triton.address, Watch(repository, MODEL).serving) as model:
        await until_ready(model)
        assert rollout.loaded() == {"1"}, "the others lie there and serve nobody"
        async with asking(model) as answers:
            await asyncio.to_thread(rollout.canary, "2", 0.5)
            await asyncio.sleep(2)
            tried = Counter(answers)
            await asyncio.to_thread(rollout.promote, "2")
            with pytest.raises(InputError, match="cannot load"):
                await asyncio.to_thread(rollout.canary, "3", 0.5)
            promoted = Counter(answers)
            await asyncio.to_thread(rollout.rollback)
            await asyncio.sleep(1)
    assert tried["1"] > 0 and tried["2"] > 0
    assert promoted["2"] > tried["2"] and answers["1"] > promoted["1"]
    assert answers.keys() == {"1", "2"}
    assert rollout.loaded() == {"1"}


async def test_a_triton_that_starts_anew_loads_the_promoted_version(triton: Triton, repository: Path) -> None:
    rollout = Rollout(repository, MODEL, triton.address)
    async with ScriptModel(triton.address, Watch(repository, MODEL).serving) as model:
        await until_ready(model)
        await asyncio.to_thread(rollout.promote, "2")
        triton.end(signal.SIGKILL)
        triton.start()
        await until_ready(model)
    assert rollout.loaded() == {"2"}
    assert registry.read(repository, MODEL) == Serving(promoted="2", before=("1",))
