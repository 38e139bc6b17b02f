"""How Triton is started from its wheel: the command line, the environment, the backend folder.

Nothing here starts, watches or stops a process: `command` prepares, and whoever owns the lifecycle runs it.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

from schemas.errors import UnavailableError

MODEL_REPOSITORY = Path(__file__).parent / "model_repository"
"""The repository that serves the small model of this project."""
MODEL = "script"
"""The one model that is loaded, whatever the repository: the client knows no other name."""

_SHARED_MEMORY_BYTES = 4 * 1024 * 1024
_EXIT_TIMEOUT_S = 3


def command(
    model_repository: Path, grpc_port: int, http_port: int, metrics_port: int, work_dir: Path
) -> tuple[list[str], dict[str, str]]:
    """The argv and the whole environment that run Triton on `model_repository`, on the loopback address.

    Builds `work_dir/backends` anew each time, out of links, so that calling it twice changes nothing.
    The server logs to stderr, is ready when `GET /v2/health/ready` on `http_port` answers 200, and stops
    within about 3 s on SIGTERM.

    Raises:
        UnavailableError: the installed wheel has no server for this version of Python.
    """
    backends = _backend_folder(_server_folder(), work_dir)
    argv = [
        str(_server_folder() / "bin" / "tritonserver"),
        f"--model-repository={model_repository.resolve()}",
        f"--backend-directory={backends}",
        # Explicit control: a folder that somebody drops into the repository is not loaded by itself.
        "--model-control-mode=explicit",
        f"--load-model={MODEL}",
        "--http-address=127.0.0.1",
        f"--http-port={http_port}",
        "--grpc-address=127.0.0.1",
        f"--grpc-port={grpc_port}",
        "--metrics-address=127.0.0.1",
        f"--metrics-port={metrics_port}",
        "--allow-gpu-metrics=false",
        "--pinned-memory-pool-byte-size=0",
        f"--exit-timeout-secs={_EXIT_TIMEOUT_S}",
        # Containers have 64 MB of /dev/shm; the prefix keeps two servers on one machine apart.
        f"--backend-config=python,shm-default-byte-size={_SHARED_MEMORY_BYTES}",
        f"--backend-config=python,shm-growth-byte-size={_SHARED_MEMORY_BYTES}",
        f"--backend-config=python,shm-region-prefix-name=holdfast-{grpc_port}",
    ]
    return argv, _environment()


def _server_folder() -> Path:
    return _pytriton() / "tritonserver"


def _pytriton() -> Path:
    """The folder of the package, which takes seconds to import and is not needed here but for its files."""
    found = find_spec("pytriton")
    if found is None or found.origin is None:
        raise UnavailableError("the package nvidia-pytriton, which carries Triton, is not installed")
    return Path(found.origin).parent


def _backend_folder(server: Path, work_dir: Path) -> Path:
    """A folder with the python backend and the stub of this interpreter's version, as links.

    Links, since the stub finds its libraries relative to where it really lies.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = server / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.exists():
        raise UnavailableError(
            f"Triton's wheel has no python backend for Python {version}: {stub} is missing"
        )
    backends = (work_dir / "backends").resolve()
    folder = backends / "python"
    folder.mkdir(parents=True, exist_ok=True)
    for source in (*(server / "backends" / "python").iterdir(), stub):
        link = folder / source.name
        link.unlink(missing_ok=True)
        link.symlink_to(source)
    return backends


def _environment() -> dict[str, str]:
    """This environment, in which the stub finds libpython and our packages."""
    env = dict(os.environ)
    site_packages = _pytriton().parent
    before = {
        # The embedded interpreter looks for `python3` on the path to find its home.
        "PATH": Path(sys.executable).parent,
        "PYTHONPATH": f"{Path(__file__).parent.parent}{os.pathsep}{site_packages}",
        "LD_LIBRARY_PATH": Path(sys.base_prefix) / "lib",
    }
    for name, folder in before.items():
        env[name] = os.pathsep.join(filter(None, (str(folder), env.get(name))))
    # The model says how many threads it wants; a library must not take all cores by itself.
    env.setdefault("OMP_NUM_THREADS", "1")
    return env
