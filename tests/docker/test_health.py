"""The containers' health check: a URL that answers, and what it must say."""

import importlib.util
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType

import pytest

HEALTH = Path(__file__).parents[2] / "docker" / "health.py"


@pytest.fixture(scope="module")
def health() -> ModuleType:
    spec = importlib.util.spec_from_file_location("health", HEALTH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class _Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/ready" else 503)
        self.end_headers()
        self.wfile.write(b'{"jobs":[{"state":"RUNNING"}]}')

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Server) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_an_answer_that_says_so_is_healthy(health: ModuleType, server: str) -> None:
    assert health.problem(f"{server}/ready") is None
    assert health.problem(f"{server}/ready", '"RUNNING"') is None


def test_everything_else_is_not(health: ModuleType, server: str) -> None:
    assert "does not say" in health.problem(f"{server}/ready", '"FAILED"')
    assert "503" in health.problem(f"{server}/starting")
    assert "no answer" in health.problem("http://127.0.0.1:9/")
