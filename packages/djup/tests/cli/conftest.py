"""A checkout of its own, a fake `docker` first on PATH, and a real `inv` process."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import checkout
import pytest
import toolkit as tools
from toolkit import PASSWORD, SECRET, Forked, Runner, Toolkit


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "forked: of its checkout, which others share, it changes only what git ignores in the root;"
        " it is not about the launcher, quoting, a terminal or signals",
    )


@pytest.fixture
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Toolkit]:
    """A checkout as from a clone, except that .venv is there; docker knows of nothing."""
    if request.node.get_closest_marker("forked"):
        runner: Runner = request.getfixturevalue("runner")
        with runner.tidied():
            yield Forked.made(runner.root, tmp_path, runner=runner)
    else:
        yield Toolkit.made(_with_venv(tmp_path), tmp_path)


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """Where the tests that are marked `forked` run."""
    with tools.runner(_with_venv(tmp_path_factory.mktemp("forked"))) as started:
        yield started


def _with_venv(folder: Path) -> Path:
    root = checkout.make(folder / "shop")
    checkout.lend_venv(root)
    return root


@pytest.fixture
def toolkit(fresh: Toolkit) -> Toolkit:
    """A checkout with an .env, of which docker says that web and db are running."""
    (fresh.root / ".env").write_text(
        f"COMPOSE_PROJECT_NAME=shop\nSECRET_KEY={SECRET}\nSQL_PASSWORD={PASSWORD}\n"
        f"WEB_PORT={fresh.port}\nRUNTIME=docker\n"
    )
    fresh.answers(fresh.running("db", "web"), fresh.engine_has())
    return fresh


@pytest.fixture
def ready(toolkit: Toolkit) -> Iterator[Callable[..., None]]:
    """Call it, and a web on WEB_PORT answers /readyz: ready, or the JSON that is given."""
    servers: list[HTTPServer] = []

    def start(answer: Mapping[str, Any] | None = None, status: int = 200) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(answer or {"ready": True}).encode())

            def log_message(self, *_: Any) -> None:
                pass

        servers.append(HTTPServer(("127.0.0.1", toolkit.port), Handler))
        # Asked often whether it has to end: by default each test would wait half a second for it.
        serving = threading.Thread(target=servers[-1].serve_forever, args=(0.02,), daemon=True)
        serving.start()

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
