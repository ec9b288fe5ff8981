"""The servers: one line each."""

import shlex
import subprocess
from typing import NamedTuple


class Server(NamedTuple):
    """A server, the module that must be installed for it, and its command line after the interpreter."""

    name: str
    module: str
    command: str
    reloads: bool = True

    def argv(self, python: str, port: int) -> list[str]:
        """The whole command line; it runs in the app's folder."""
        return [python, *(word.format(port=port) for word in shlex.split(self.command))]


SERVERS = (
    Server("uvicorn", "uvicorn", "-m uvicorn main:app --port {port}", reloads=False),
    Server("uvicorn --reload", "uvicorn", "-m uvicorn main:app --reload --port {port}"),
    Server("fastapi dev", "fastapi_cli", "-m fastapi dev main.py --port {port}"),
    Server("granian --reload", "granian", "-m granian --interface asgi --reload --port {port} main:app"),
    Server("hypercorn --reload", "hypercorn", "-m hypercorn --reload --bind 127.0.0.1:{port} main:app"),
    Server("jurigged", "jurigged", "-m jurigged -m uvicorn main:app --port {port}"),
    Server("uvicorn-hmr", "uvicorn_hmr", "-m uvicorn_hmr main:app --port {port}"),
    Server("fastapi-hmr", "fastapi_hmr", "-m fastapi_hmr main:app --port {port}"),
)


def installed(python: str, servers: tuple[Server, ...] = SERVERS) -> tuple[Server, ...]:
    """Those that this interpreter has."""
    code = "import importlib.util as u, sys; print(*[m for m in sys.argv[1:] if u.find_spec(m)])"
    modules = {server.module for server in servers}
    done = subprocess.run([python, "-c", code, *modules], capture_output=True, text=True, check=True)
    return tuple(server for server in servers if server.module in done.stdout.split())
