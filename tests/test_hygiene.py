"""What must hold of the project as a whole, whoever changes it."""

import re
import subprocess
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = {"schemas", "operators", "inference", "streams", "benchmarks"}
MAX_LINES = 400
MAX_FILE_BYTES = 20 * 1024 * 1024

# A folder of one person's machine, a key or token that opens something.
PRIVATE = {
    "a private folder": re.compile(r"(?<![\w./-])/(?:home|root|Users|work)/\w"),
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a token": re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|AKIA[0-9A-Z]{16}|hf_[A-Za-z0-9]{30,})\b"),
}
# An exception from the linter or the type checker, and what stands after it.
SILENCED = re.compile(r"#\s*(?:noqa|type:\s*ignore)\b(?:\[[^\]]*\]|:\s*[A-Z0-9, ]+)?(?P<why>.*)")


@cache
def tracked() -> tuple[Path, ...]:
    """The files of the project that are there; none where this is no checkout."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    paths = (ROOT / name for name in listed.stdout.split("\0") if name)
    return tuple(path for path in paths if path.is_file())


def texts() -> list[tuple[str, str]]:
    found = []
    for path in tracked():
        try:
            found.append((str(path.relative_to(ROOT)), path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue  # a model or a picture
    return found


def python_files() -> list[tuple[str, str]]:
    return [(name, text) for name, text in texts() if name.endswith(".py")]


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_no_other_distribution_owns_our_package_name(package: str) -> None:
    assert set(packages_distributions().get(package, ())) <= {"holdfast"}


def test_docker_stays_a_plain_folder() -> None:
    assert not (ROOT / "docker" / "__init__.py").exists(), "it would hide docker-py's package of that name"


@pytest.mark.parametrize("what", PRIVATE)
def test_nothing_private_is_published(what: str) -> None:
    assert [name for name, text in texts() if PRIVATE[what].search(text)] == []


def test_no_data_and_no_large_file_is_published() -> None:
    assert [path.name for path in tracked() if path.suffix in {".parquet", ".arrow", ".csv", ".db"}] == []
    assert [path.name for path in tracked() if path.stat().st_size > MAX_FILE_BYTES] == []


def test_every_python_file_says_what_it_is_for_and_can_be_read_at_a_sitting() -> None:
    assert [name for name, text in python_files() if not text.lstrip().startswith(('"""', 'r"""'))] == []
    assert [name for name, text in python_files() if text.count("\n") >= MAX_LINES] == []


def test_every_exception_from_a_check_says_why() -> None:
    assert [
        f"{name}: {line.strip()}"
        for name, text in python_files()
        for line in text.splitlines()
        if (found := SILENCED.search(line)) and not re.search(r"[a-z]{2}", found["why"])
    ] == []


def test_the_lock_files_agree_where_both_pin_a_package() -> None:
    base, train = (
        dict(re.findall(r"^([a-z0-9-]+)==(\S+)$", (ROOT / name).read_text(), flags=re.MULTILINE))
        for name in ("requirements.lock", "requirements-train.lock")
    )
    assert {name: version for name, version in base.items() if train.get(name) != version} == {}
