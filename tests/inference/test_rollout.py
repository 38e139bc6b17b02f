"""Changes of the version that serves, against a Triton in this process that loads what the policy says."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from inference import registry
from inference.registry import Canary, Serving
from inference.rollout import SEEN_S, Rollout
from schemas.errors import InputError, UnavailableError

CONFIG = """\
# A comment that stays.
name: "script"
version_policy: { specific: { versions: [ 1 ] } }
instance_group [ { count: 1 kind: KIND_CPU } ]
"""


class FakeTriton(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]  # generated, untyped
    """Serves the versions of the policy in `config.pbtxt`; knows who was to get what at each load."""

    def __init__(self, repository: Path) -> None:
        self.repository = repository
        self.ready = {"1"}
        self.broken: set[str] = set()
        self.serves_another_folder = False
        self.loads: list[tuple[set[str], Serving]] = []
        self.address = ""

    def RepositoryIndex(self, request: Any, context: Any) -> Any:  # noqa: N802  # gRPC's name
        index = service_pb2.RepositoryIndexResponse()
        for version in self.ready:
            index.models.add(name="script", version=version, state="READY")
        return index

    def RepositoryModelLoad(self, request: Any, context: Any) -> Any:  # noqa: N802  # gRPC's name
        wanted = policy(self.repository)
        self.loads.append((wanted, registry.read(self.repository, "script")))
        if wanted & self.broken:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "failed to load 'script': no such weights")
        self.ready = self.ready if self.serves_another_folder else wanted
        return service_pb2.RepositoryModelLoadResponse()


def policy(repository: Path) -> set[str]:
    config = (repository / "script" / "config.pbtxt").read_text()
    (versions,) = re.findall(
        r"^version_policy: \{ specific: \{ versions: \[ ([\d, ]+) \] \} \}$", config, re.M
    )
    return set(versions.split(", "))


def add(repository: Path, version: str, figure: float = 0.9) -> Path:
    folder = repository / "script" / version
    folder.mkdir(parents=True)
    (folder / "MODEL_CARD.md").write_text("# A model")
    metrics = {"promotion": {"conditioning": figure, "guard_pass": 0.99}, "data": {"fingerprint": "sha256:1"}}
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Versions 1, 2 and 3, each better than the one before."""
    for number in (1, 2, 3):
        add(tmp_path, str(number), 0.9 + number / 100)
    (tmp_path / "script" / "config.pbtxt").write_text(CONFIG)
    return tmp_path


@pytest.fixture
def triton(repository: Path) -> Iterator[FakeTriton]:
    fake = FakeTriton(repository)
    server = grpc.server(ThreadPoolExecutor(2))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(fake, server)
    fake.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    yield fake
    server.stop(None).wait()


@pytest.fixture
def waits_s() -> list[float]:
    return []


@pytest.fixture
def rollout(repository: Path, triton: FakeTriton, waits_s: list[float]) -> Rollout:
    return Rollout(repository, "script", triton.address, wait_s=waits_s.append)


def test_a_promotion_loads_the_new_version_before_anybody_gets_it_and_unloads_the_old_one_after(
    rollout: Rollout, triton: FakeTriton, repository: Path, waits_s: list[float]
) -> None:
    then = rollout.promote("2")
    assert then == registry.read(repository, "script") == Serving(promoted="2", before=("1",))
    assert triton.loads == [({"1", "2"}, Serving(promoted="1")), ({"2"}, then)]
    assert waits_s == [SEEN_S], "those who ask need time to see it"


def test_what_else_the_configuration_says_stays(rollout: Rollout, repository: Path) -> None:
    rollout.promote("3")
    written = (repository / "script" / "config.pbtxt").read_text()
    assert written == CONFIG.replace("[ 1 ]", "[ 3 ]")


@pytest.mark.parametrize(
    "written",
    ["", "version_policy { latest { num_versions: 1 } }\n", "version_policy: {\n  all {\n  }\n}\n"],
)
def test_any_other_version_policy_gives_way(rollout: Rollout, repository: Path, written: str) -> None:
    rest = 'name: "script"\n'
    (repository / "script" / "config.pbtxt").write_text(written + rest)
    rollout.promote("2")
    assert policy(repository) == {"2"}
    assert rest in (repository / "script" / "config.pbtxt").read_text()


def test_a_version_whose_figure_has_fallen_is_refused(
    rollout: Rollout, triton: FakeTriton, repository: Path
) -> None:
    add(repository, "4", 0.9099)
    with pytest.raises(InputError) as refused:
        rollout.promote("4")
    assert str(refused.value) == (
        "version 4 of script is not promoted: conditioning was 0.91 in version 1 and is 0.9099"
    )
    assert registry.read(repository, "script") == Serving(promoted="1")
    assert triton.loads == []


def test_a_forced_promotion_is_on_the_record_for_ever(rollout: Rollout, repository: Path) -> None:
    add(repository, "4", 0.5)
    rollout.promote("4", force=True)
    rollout.promote("3")
    assert rollout.rollback() == Serving(promoted="4", before=("1",), forced=("4",))


def test_force_is_not_noted_where_nothing_had_fallen(rollout: Rollout) -> None:
    assert rollout.promote("2", force=True).forced == ()


@pytest.mark.parametrize("step", ["promote", "canary"])
def test_what_is_not_complete_serves_nobody(rollout: Rollout, repository: Path, step: str) -> None:
    (repository / "script" / "2" / "MODEL_CARD.md").unlink()
    with pytest.raises(InputError, match=r"version 2 of script is not complete: it lacks MODEL_CARD\.md"):
        rollout.promote("2", force=True) if step == "promote" else rollout.canary("2", 0.1)


def test_a_version_that_triton_cannot_load_changes_nothing(
    rollout: Rollout, triton: FakeTriton, repository: Path
) -> None:
    triton.broken = {"2"}
    with pytest.raises(InputError, match=r"cannot load script: .*no such weights"):
        rollout.promote("2")
    assert registry.read(repository, "script") == Serving(promoted="1")
    assert (repository / "script" / "config.pbtxt").read_text() == CONFIG


def test_a_triton_that_serves_another_folder_is_noticed(rollout: Rollout, triton: FakeTriton) -> None:
    triton.serves_another_folder = True
    with pytest.raises(InputError, match="does not load version 2 of script: does it serve"):
        rollout.promote("2")


def test_rollbacks_lead_back_one_promotion_at_a_time(rollout: Rollout, triton: FakeTriton) -> None:
    rollout.promote("2")
    rollout.promote("3")
    assert rollout.rollback() == Serving(promoted="2", before=("1",))
    assert rollout.rollback() == Serving(promoted="1")
    assert triton.ready == {"1"}
    with pytest.raises(InputError, match="no version of script was promoted before 1"):
        rollout.rollback()


def test_a_rollback_needs_no_better_figures_and_ends_the_canary(rollout: Rollout, triton: FakeTriton) -> None:
    rollout.promote("3")
    rollout.canary("2", 0.2)
    assert rollout.rollback() == Serving(promoted="1")
    assert triton.ready == {"1"}


def test_without_triton_nothing_new_serves_but_the_old_version_can_be_had_back(
    repository: Path, triton: FakeTriton, rollout: Rollout
) -> None:
    rollout.promote("2")
    alone = Rollout(repository, "script", "127.0.0.1:1")
    for change in (lambda: alone.promote("3"), lambda: alone.canary("3", 0.1)):
        with pytest.raises(UnavailableError, match=r"Triton at 127\.0\.0\.1:1"):
            change()
    assert registry.promoted("script", repository) == repository / "script" / "2"
    assert alone.rollback() == registry.read(repository, "script") == Serving(promoted="1")
    assert policy(repository) == {"1"}, "what Triton loads when it starts"


def test_a_rollback_gets_away_from_a_version_that_cannot_be_loaded_any_more(
    rollout: Rollout, triton: FakeTriton
) -> None:
    rollout.promote("2")
    triton.broken, triton.ready = {"2"}, set()  # it was started anew
    assert rollout.rollback().promoted == "1"
    assert triton.ready == {"1"}


def test_a_canary_grows_without_a_load_and_ends_with_one(rollout: Rollout, triton: FakeTriton) -> None:
    assert rollout.canary("2", 0.05).canary == Canary("2", 0.05)
    assert triton.ready == {"1", "2"}
    rollout.canary("2", 0.5)
    assert [versions for versions, _ in triton.loads] == [{"1", "2"}]
    assert rollout.end_canary() == Serving(promoted="1")
    assert [versions for versions, _ in triton.loads] == [{"1", "2"}, {"1"}]
    with pytest.raises(InputError, match="no version of script is tried"):
        rollout.end_canary()


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, float("nan")])
def test_a_canary_is_for_a_part_of_the_users(rollout: Rollout, share: float) -> None:
    with pytest.raises(InputError, match="is not between 0 and 1"):
        rollout.canary("2", share)


def test_another_canary_takes_the_place_of_the_first(rollout: Rollout, triton: FakeTriton) -> None:
    rollout.canary("2", 0.1)
    rollout.canary("3", 0.1)
    assert [versions for versions, _ in triton.loads] == [{"1", "2"}, {"1", "2", "3"}, {"1", "3"}]


def test_a_canary_that_is_promoted_is_the_version_of_all(rollout: Rollout) -> None:
    rollout.canary("2", 0.1)
    assert rollout.promote("2") == Serving(promoted="2", before=("1",))


@pytest.mark.parametrize("step", ["promote", "canary"])
def test_the_promoted_version_cannot_be_promoted_or_tried(rollout: Rollout, step: str) -> None:
    with pytest.raises(InputError, match="already"):
        rollout.promote("1") if step == "promote" else rollout.canary("1", 0.1)


def test_one_change_at_a_time(repository: Path, triton: FakeTriton) -> None:
    def meanwhile(wait_s: float) -> None:
        with pytest.raises(InputError, match="another change of script is under way"):
            Rollout(repository, "script", triton.address).rollback()
        tried.append(wait_s)

    tried: list[float] = []
    Rollout(repository, "script", triton.address, wait_s=meanwhile).promote("2")
    assert tried


def test_a_model_that_is_scored_in_process_needs_no_triton(repository: Path) -> None:
    (repository / "script" / "config.pbtxt").unlink()
    rollout = Rollout(repository, "script", "127.0.0.1:1", wait_s=pytest.fail)
    assert rollout.canary("2", 0.1).canary == Canary("2", 0.1)
    assert rollout.promote("2") == registry.read(repository, "script")
    assert rollout.rollback() == Serving(promoted="1")
