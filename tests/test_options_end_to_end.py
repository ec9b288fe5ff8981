"""Where and how the product listens, by option: served there, and so is the next good save."""

import contextlib
import signal
import socket
import sys
from pathlib import Path

import httpx
import pytest

from tests.conftest import Serve
from tests.saved import Saved
from tests.utils import Project, Server, hmr_argv, wait_until

APP = "from fastapi import FastAPI\nfrom value import VALUE\napp = FastAPI()\n@app.get('/')\ndef root(): return VALUE\n"


@pytest.fixture
def small(project: Project) -> Project:
    """An app that answers with what another module says."""
    project["main.py"], project["value.py"] = APP, "VALUE = 1\n"
    return project


def test_unix_socket_is_served(small: Project, tmp_path: Path, serve: Serve) -> None:
    """`--uds`: the file is there all the time, and gone at the end."""
    path = tmp_path / "app.sock"
    server = serve("main:app", "--uds", str(path), ready=False)
    wait_until(path.exists, "the socket")
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://localhost") as client:
        for value in (1, 2, 3):
            small["value.py"] = f"VALUE = {value}\n"
            wait_until(lambda value=value: client.get("/").json() == value, "the save")  # type: ignore[misc]  # default
        assert server.interrupt() == 0
    assert not path.exists()


def test_descriptor_is_served(project: Project) -> None:
    """`--fd`: somebody else's listening socket."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port, number = sock.getsockname()[1], sock.fileno()
        with Saved(project, "--fd", str(number), port=port, fds=(number,)).running() as product:
            product.is_well()
            assert product.server.interrupt() == 0
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass


def test_proxy_and_root_path_reach_every_version(project: Project) -> None:
    """What uvicorn makes of its options and of a proxy's headers is in the scope of the old code and of the new."""
    headers = {"x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.7"}
    with Saved(project, "--root-path", "/api").running() as product:
        for _ in range(3):
            found = product.server.get("/scope", headers=headers).json()
            assert found == ["/api", "https", "192.0.2.7"]
            product.fresh()


def test_number_of_requests_counts_over_all_versions(small: Project, serve: Serve) -> None:
    """`--limit-max-requests` ends the process as it ends uvicorn's."""
    plain = serve(argv=[sys.executable, "-m", "uvicorn", "main:app", "--port", "{port}", "--limit-max-requests", "1"])
    with Saved(small, "--limit-max-requests", "30").running() as product:
        product.is_well()
        with contextlib.suppress(httpx.TransportError):  # it is gone
            while True:
                product.server.get("/")
        assert product.server.process.wait(30) == plain.process.wait(30)
        product.server.wait_for_line("Maximum request limit of 30 exceeded")


def test_port_in_use_names_its_holder(project: Project) -> None:
    """A port that was asked for is refused in one line; whoever has it goes on."""
    with Saved(project).running() as first:
        again = Server(hmr_argv("main:app", "--port", str(first.port)), project.root, port=first.port)
        try:
            assert again.process.wait(30) == 3
            again.wait_for_line(
                rf"port {first.port} on 127\.0\.0\.1 is in use by .*\(process {first.server.process.pid}\)"
            )
            assert "Traceback" not in again.output
        finally:
            again.stop()
        first.is_well()


def test_default_port_in_use_is_not_insisted_on(project: Project) -> None:
    """The next free one is taken, and said."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # somebody else holds it, which is as good
            stack.enter_context(socket.create_server(("127.0.0.1", 8000)))
        product = Saved(project, port=8000)  # nothing of it is among the arguments
        stack.callback(product.server.stop)
        line = product.server.wait_for_line("port 8000 is in use by .*, so this is")
        product.server.port = product.port = int(line.rpartition(" ")[2])
        product.server.wait_for("/", product.version)
        product.is_well()


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_second_ctrl_c_does_not_wait_for_a_shutdown_that_hangs(project: Project, first: int) -> None:
    """Whatever asked for the end: the first one asks the app, the second one does not."""
    with Saved(project).running() as product:
        product.is_well()
        product.fresh(lifespan="stop hangs")
        product.server.process.send_signal(first)
        product.server.wait_for_line("Waiting for application shutdown")
        product.server.process.send_signal(signal.SIGINT)
        code = product.server.process.wait(8)  # the app would be given ten seconds
        assert code == (0 if first == signal.SIGINT else 128 + first)
