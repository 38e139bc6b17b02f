"""The command that starts Triton, and what it says of a wheel that lacks a part."""

import os
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from inference import tritonserver
from inference.tritonserver import MODEL, MODEL_REPOSITORY, command
from schemas.errors import UnavailableError

PORTS = {"grpc_port": 18001, "http_port": 18000, "metrics_port": 18002}


def test_the_command_names_what_to_serve_and_where(tmp_path: Path) -> None:
    argv, _ = command(MODEL_REPOSITORY, **PORTS, work_dir=tmp_path)
    assert os.access(argv[0], os.X_OK)
    assert f"--model-repository={MODEL_REPOSITORY}" in argv
    assert {"--grpc-port=18001", "--http-port=18000", "--metrics-port=18002"} <= set(argv)
    assert {"--model-control-mode=explicit", f"--load-model={MODEL}"} <= set(argv)


def test_the_backend_folder_has_the_stub_of_this_python_and_can_be_built_again(tmp_path: Path) -> None:
    for _ in range(2):
        command(MODEL_REPOSITORY, **PORTS, work_dir=tmp_path)
    files = {file.name: file for file in (tmp_path / "backends" / "python").iterdir()}
    assert {
        "libtriton_python.so",
        "triton_python_backend_stub",
        "triton_python_backend_utils.py",
    } <= files.keys()
    assert all(file.is_symlink() and file.exists() for file in files.values())
    assert "/3.11/" in str(files["triton_python_backend_stub"].readlink())


def test_the_stub_finds_our_packages_and_this_python(tmp_path: Path) -> None:
    _, env = command(MODEL_REPOSITORY, **PORTS, work_dir=tmp_path)
    assert str(MODEL_REPOSITORY.parent.parent) in env["PYTHONPATH"].split(os.pathsep)


def test_a_wheel_without_this_python_is_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = ModuleSpec("pytriton", None, origin=str(tmp_path / "pytriton" / "__init__.py"))
    monkeypatch.setattr(tritonserver, "find_spec", lambda name: elsewhere)
    with pytest.raises(UnavailableError, match="no python backend for Python 3"):
        command(MODEL_REPOSITORY, **PORTS, work_dir=tmp_path)
