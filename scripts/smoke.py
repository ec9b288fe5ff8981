"""Checks an installed fastapi-hmr as a user meets it: import, version, and one request answered."""

import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

HEAVY = {"asyncio", "fastapi", "reactivity", "sse_starlette", "starlette", "uvicorn", "watchfiles"}
APP = """
from fastapi import FastAPI

app = FastAPI()


@app.get("/")
def read() -> dict[str, str]:
    return {"hello": "wheel"}
"""
DEADLINE_S = 60


def main() -> None:
    """Run the checks; AssertionError says which failed."""
    check_import()
    command = Path(sys.executable).with_name("fastapi-hmr")
    version = subprocess.run([command, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    import fastapi_hmr

    assert fastapi_hmr.__version__ in version, f"--version says {version!r}, the package {fastapi_hmr.__version__!r}"
    check_serving(command)
    print(f"{version}: imports free of charge, starts, answers, stops")


def check_import() -> None:
    """An app may import the package in production: that must load nothing."""
    program = f"import sys, fastapi_hmr; print(*sorted({HEAVY!r} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert not loaded, f"import fastapi_hmr loads {loaded}"


def check_serving(command: Path) -> None:
    """The command starts an app, answers one request and ends on Ctrl-C."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "main.py").write_text(APP)
        argv = [str(command), "main:app", "--reload", "--port", str(port)]
        process = subprocess.Popen(argv, cwd=folder, stdin=subprocess.DEVNULL)
        try:
            body = first_answer(f"http://127.0.0.1:{port}/", process)
            assert body == b'{"hello":"wheel"}', body
            process.send_signal(signal.SIGINT)
            assert process.wait(DEADLINE_S) == 0, f"Ctrl-C ended it with exit code {process.returncode}"
        finally:
            process.kill()
            process.wait()


def first_answer(url: str, process: "subprocess.Popen[bytes]") -> bytes:
    """The body of the first answer, waited for."""
    until = time.monotonic() + DEADLINE_S
    while True:
        assert process.poll() is None, f"the server ended with exit code {process.returncode}"
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return bytes(response.read())
        except (urllib.error.URLError, OSError):
            assert time.monotonic() < until, f"no answer within {DEADLINE_S} s"
            time.sleep(0.05)


if __name__ == "__main__":
    main()
