"""The containers' files, checked without an engine: schema, linters, and agreement with the code."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.topics import TOPICS
from streams.settings import Settings, variable

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
COMPOSE = DOCKER / "compose.yaml"
DOCKERFILE = DOCKER / "Dockerfile"
BIN = Path(sys.executable).parent

SERVICES: dict[str, dict[str, Any]] = msgspec.yaml.decode(COMPOSE.read_bytes())["services"]
BY_NAME = pytest.mark.parametrize("name", SERVICES)
ONE_SHOT = {"topics"}
ENDS_WHEN_IT_CANNOT_WORK = {"assessor", "composer", "drafter", "outcomes", "sequences", "sieve", "ticker"}
"""These show their health by living, on the embedded stack too."""
WRITES_BESIDE_ITS_PROGRAM = {"broker"}


def passes(*command: str | Path) -> None:
    done = subprocess.run(
        [str(word) for word in command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_compose_file_fits_the_specification() -> None:
    passes(sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE)


def test_yaml_is_clean() -> None:
    passes(BIN / "yamllint", "--strict", "--config-file", DOCKER / ".yamllint.yaml", DOCKER)


def test_the_dockerfile_is_clean() -> None:
    passes(BIN / "hadolint", DOCKERFILE)


def test_there_is_no_package_named_docker() -> None:
    assert not (DOCKER / "__init__.py").exists()


def test_each_copied_path_exists_and_is_sent_to_the_builder() -> None:
    sent = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE.read_text(), re.MULTILINE)
    paths = [path for line in copied for path in line.split()]
    assert sorted(paths) == sorted({*sent, *paths}), (
        "what is copied and what .dockerignore lets through differ"
    )
    assert [path for path in paths if not (ROOT / path).exists()] == []


@BY_NAME
def test_a_container_gets_no_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "pid", "network_mode", "devices"} & service.keys()
    assert service.get("read_only", False) is (name not in WRITES_BESIDE_ITS_PROGRAM)


@BY_NAME
def test_a_container_is_bounded(name: str) -> None:
    assert SERVICES[name]["deploy"]["resources"]["limits"].keys() >= {"cpus", "memory", "pids"}


def test_the_operator_alone_may_go_first() -> None:
    limits = {name: service["ulimits"] for name, service in SERVICES.items() if "ulimits" in service}
    assert limits == {"taskmanager": {"rtprio": 1}}


@BY_NAME
def test_no_container_runs_as_root(name: str) -> None:
    service = SERVICES[name]
    user = stage_users()[service["build"]["target"]] if "build" in service else service.get("user")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user or "")


def stage_users() -> dict[str, str]:
    """The user that each stage of the Dockerfile ends with."""
    users: dict[str, str] = {}
    stage = ""
    for line in DOCKERFILE.read_text().splitlines():
        if start := re.match(r"FROM (\S+) AS (\S+)", line):
            stage = start[2]
            users[stage] = users.get(start[1], "")
        elif line.startswith("USER "):
            users[stage] = line.split()[1]
    return users


@BY_NAME
def test_health_is_checked(name: str) -> None:
    assert ("healthcheck" in SERVICES[name]) is (name not in ONE_SHOT | ENDS_WHEN_IT_CANNOT_WORK)


@BY_NAME
def test_a_service_waits_only_for_what_can_be_waited_for(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        fits = {
            "service_healthy": "healthcheck" in SERVICES[other],
            "service_completed_successfully": other in ONE_SHOT,
            "service_started": True,
        }
        assert fits[how["condition"]], f"{name} waits for {other}"


@BY_NAME
def test_ports_are_open_on_this_machine_alone(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))


def test_every_image_is_pinned() -> None:
    stages = set(stage_users())
    froms = re.findall(r"^FROM (\S+)|--from=(\S+)", DOCKERFILE.read_text(), re.MULTILINE)
    images = {first or second for first, second in froms} - stages
    images |= {service["image"] for service in SERVICES.values()}
    assert [image for image in images if not re.search(r":\d+\.\d+", image)] == []


def test_no_secret_is_stated() -> None:
    for path in (COMPOSE, DOCKERFILE):
        assert re.findall(r"(?i)\b\w*(password|secret|token|api_?key)\w*\s*[:=]", path.read_text()) == []


def test_every_variable_is_one_that_the_settings_know() -> None:
    known = {variable(name) for name in Settings.__struct_fields__ if name != "given"}
    used = {
        word
        for path in DOCKER.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
        for word in re.findall(r"HOLDFAST_[A-Z_]+", path.read_text(encoding="utf-8"))
    }
    assert used - known == set()


def test_defaults_are_those_of_the_embedded_stack() -> None:
    stated = re.findall(r"\$\{HOLDFAST_([A-Z_]+):-(\w+)\}", COMPOSE.read_text())
    defaults = msgspec.structs.asdict(Settings())
    assert dict(stated) == {name: str(defaults[name.lower()]) for name, _ in stated}


def test_the_broker_takes_the_largest_record_of_any_topic() -> None:
    broker = SERVICES["broker"]["environment"]
    largest = max(topic.max_bytes for topic in TOPICS)
    assert broker["KAFKA_MESSAGE_MAX_BYTES"] > largest
    assert broker["KAFKA_REPLICA_FETCH_MAX_BYTES"] >= broker["KAFKA_MESSAGE_MAX_BYTES"]
    assert broker["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_servers_are_the_versions_that_were_tested() -> None:
    pom = ElementTree.parse(ROOT / "pom.xml").getroot()
    space = {"m": "http://maven.apache.org/POM/4.0.0"}
    versions = {
        dependency.findtext("m:artifactId", "", space): dependency.findtext("m:version", "", space)
        for dependency in pom.iterfind(".//m:dependency", space)
    }
    assert SERVICES["broker"]["image"] == f"apache/kafka:{versions['kafka_2.13']}"
    lock = (ROOT / "requirements.lock").read_text()
    flink = re.search(r"^apache-flink==(\S+)", lock, re.MULTILINE)
    assert flink is not None
    assert f"flink-python-{flink[1]}.jar" in DOCKERFILE.read_text()


def test_every_program_of_ours_exists() -> None:
    commands = [service["command"] for service in SERVICES.values() if "command" in service]
    modules = {
        command[command.index(flag) + 1] for command in commands for flag in ("-m", "-pym") if flag in command
    }
    assert modules >= {"streams.topics", "streams.flink.job", "streams.agents"}
    assert [module for module in sorted(modules) if not is_program(module)] == []


def is_program(module: str) -> bool:
    """Whether `python -m module` does something."""
    path = ROOT.joinpath(*module.split("."))
    if path.is_dir():
        return (path / "__main__.py").exists()
    return 'if __name__ == "__main__":' in path.with_suffix(".py").read_text(encoding="utf-8")


def test_the_model_has_the_name_that_the_client_calls() -> None:
    for folder in (ROOT / "inference" / "model_repository", DOCKER / "gpt-oss-20b"):
        config = (folder / "script" / "config.pbtxt").read_text()
        assert 'name: "script"' in config
        assert "model_transaction_policy { decoupled: true }" in config
    model = msgspec.json.decode((DOCKER / "gpt-oss-20b" / "script" / "1" / "model.json").read_bytes())
    assert model["model"] == "openai/gpt-oss-20b"


def test_the_job_and_its_workers_share_an_address_and_the_checkpoints() -> None:
    jobs, tasks = SERVICES["jobmanager"], SERVICES["taskmanager"]
    address = "jobmanager.rpc.address=jobmanager"
    assert address in jobs["command"]
    assert address in tasks["command"]
    assert jobs["volumes"] == tasks["volumes"], "the checkpoints of one are read by the other"
