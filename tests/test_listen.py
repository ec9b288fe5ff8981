"""The listening socket: where it comes from, and the one line that says why it can't be had."""

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from fastapi_hmr.exceptions import BindError
from fastapi_hmr.listen import SOCKET_VARIABLE, bind, holder_of
from tests.serving_process import serving
from tests.utils import free_port


def config(**options: Any) -> uvicorn.Config:
    """A configuration of uvicorn's whose app is never looked at."""
    return uvicorn.Config("none:app", **options)


@contextlib.contextmanager
def taken() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        yield sock.getsockname()[1]


def test_port_in_use_says_by_whom() -> None:
    """One line: the port, who holds it, and what to do."""
    with taken() as port, pytest.raises(BindError) as refused:
        bind(config(port=port), port_given=True)
    text = str(refused.value)
    assert f"port {port} on 127.0.0.1 is in use by " in text
    assert f"(process {os.getpid()})" in text
    assert "--port" in text
    assert "\n" not in text


def test_next_free_port_is_taken_and_said_where_none_was_given() -> None:
    """As Vite does; the configuration knows the port that is used."""
    with taken() as port:
        settings = config(port=port)
        bound = bind(settings, port_given=False)
        with bound.sockets[0] as sock:
            used = sock.getsockname()[1]
            assert used > port
            assert settings.port == used
            assert bound.url == f"http://127.0.0.1:{used}"
            assert bound.notes[0].startswith(f"port {port} is in use by ")
            assert bound.notes[0].endswith(f", so this is {used}")


def test_port_zero_is_any_port() -> None:
    """And its address says which."""
    bound = bind(config(port=0), port_given=True)
    with bound.sockets[0] as sock:
        assert bound.url == f"http://127.0.0.1:{sock.getsockname()[1]}"
        assert bound.notes == ()


def test_socket_does_not_block_the_loop() -> None:
    """A listening socket that blocks would stop the event loop in accept()."""
    bound = bind(config(port=0), port_given=True)
    with bound.sockets[0] as sock:
        assert not sock.getblocking()
        assert not sock.get_inheritable()


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_host_that_is_not_here_is_named(host: str) -> None:
    """One line with the host, the reason and the option."""
    with pytest.raises(BindError, match=rf"can't listen on {host}:\d+ \(.+\): choose another --host or --port"):
        bind(config(host=host, port=free_port()), port_given=True)


def test_ipv6_address_is_listened_on() -> None:
    """A host with colons is an address of IPv6, in brackets where it is shown."""
    port = free_port()
    bound = bind(config(host="::1", port=port), port_given=True)
    with bound.sockets[0] as sock:
        assert sock.family == socket.AF_INET6
        assert bound.url == f"http://[::1]:{port}"


def test_holder_of_a_free_port_is_nobody() -> None:
    """Nothing is made up."""
    assert holder_of(free_port()) is None


def test_unix_socket_is_served_and_removed(tmp_path: Path) -> None:
    """A socket that nobody listens on any more is taken over; its mode stays; at the end the file is gone."""
    path = tmp_path / "app.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    path.chmod(0o600)
    with serving(uds=str(path)) as process:
        assert process.listening.get()["url"] == f"unix:{path}"
        assert path.stat().st_mode & 0o777 == 0o600
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
            assert client.get("http://localhost/").json() == 1
            process.replace(2)
            assert client.get("http://localhost/").json() == 2
            assert process.end() == 0
    assert not path.exists()


@pytest.mark.parametrize("name", ["missing/app.sock", "file", "x" * 200])
def test_unix_socket_that_can_not_be_made_is_one_line(tmp_path: Path, name: str) -> None:
    """A folder that is missing, a file in the way, a path too long for the system."""
    (tmp_path / "file").write_text("precious")
    path = str(tmp_path / name)
    with pytest.raises(BindError) as refused:
        bind(config(uds=path), port_given=True)
    assert path in str(refused.value)
    assert "--uds" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert (tmp_path / "file").read_text() == "precious"


def test_descriptor_is_served() -> None:
    """`--fd`: somebody else's listening socket, which may be a blocking one, and outlives the process."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        port = sock.getsockname()[1]
        with serving(fd=sock.fileno(), fds=(sock.fileno(),), port=port) as process:
            assert process.get().json() == 1
            process.replace(2)
            assert process.get().json() == 2
            process.end()
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass


def test_descriptor_that_is_none_is_one_line() -> None:
    """Exit code and words, no traceback."""
    with serving(fd=999, ready=False) as process:
        assert process.ended() == 3
        assert process.output == "Error: --fd 999 is not an open socket (Bad file descriptor): pass one that is"


@pytest.mark.parametrize("value", ["999", "2", "rubbish", ""])
def test_variable_that_outlived_its_process_is_ignored(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a listening socket is inherited; anything else is somebody else's."""
    monkeypatch.setenv(SOCKET_VARIABLE, value)
    bound = bind(config(port=0), port_given=True)
    with bound.sockets[0] as sock:
        assert sock.getsockname()[1] != 0
        assert SOCKET_VARIABLE not in os.environ


def test_inherited_socket_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process before us left it open; what it was bound to is what is served."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        monkeypatch.setenv(SOCKET_VARIABLE, str(os.dup(sock.fileno())))
        settings = config(port=8000)
        bound = bind(settings, port_given=False)
        with bound.sockets[0] as inherited:
            assert settings.port == inherited.getsockname()[1] == sock.getsockname()[1]
            assert bound.notes == ()


@pytest.fixture
def no_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a container without it."""
    make = socket.socket

    def refuse(family: int = -1, *rest: Any, **named: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return make(family, *rest, **named)

    monkeypatch.setattr("fastapi_hmr.listen.socket.socket", refuse)


@pytest.mark.parametrize("port", [0, 1])
def test_localhost_is_both_loopback_addresses(port: int) -> None:
    """Browsers try one or the other first, so both are listened on, on one port; where one is taken, on the next."""
    with contextlib.ExitStack() as stack:
        if port:
            other = stack.enter_context(socket.create_server(("::1", free_port()), family=socket.AF_INET6))
            port = other.getsockname()[1]
        bound = bind(config(host="localhost", port=port), port_given=False)
        first, second = map(stack.enter_context, bound.sockets)
        assert first.getsockname() == ("127.0.0.1", int(bound.url.removeprefix("http://localhost:")))
        assert second.getsockname()[:2] == ("::1", first.getsockname()[1])
        assert not port or first.getsockname()[1] > port


@pytest.mark.usefixtures("no_ipv6")
def test_localhost_without_ipv6_is_one_address() -> None:
    """What the machine does not have is not missed."""
    (sock,) = bind(config(host="localhost", port=0), port_given=True).sockets
    with sock:
        assert sock.getsockname()[0] == "127.0.0.1"


def test_restart_keeps_both_addresses() -> None:
    """A new process inherits each socket; at neither address is anybody refused."""
    with serving(host="localhost") as process:
        process.replace(2)
        process.begin("restart")
        process.ready()
        for host in ("127.0.0.1", "[::1]", "localhost"):
            assert httpx.get(f"http://{host}:{process.port}/", timeout=30).json() == 1


def test_restart_keeps_a_unix_socket(tmp_path: Path) -> None:
    """The new process serves on the file of the old one, and removes it at its own end."""
    path = tmp_path / "app.sock"
    with serving(uds=str(path)) as process, httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
        process.replace(2)
        process.begin("restart")
        process.ready()
        assert client.get("http://localhost/").json() == 1
        assert process.end() == 0
    assert not path.exists()


def test_restart_keeps_a_descriptor() -> None:
    """Somebody else's socket is handed on as ours is."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        with serving(fd=sock.fileno(), fds=(sock.fileno(),), port=port) as process:
            process.replace(2)
            process.begin("restart")
            process.ready()
            assert process.get().json() == 1
