"""Signals that ask for the end do so whatever the app has set for them, and reach no child of it as ours."""

import pytest

from tests.conftest import Serve
from tests.helped import MAIN
from tests.utils import Project

OWN = {
    "exits": "lambda *_: sys.exit(5)",
    "raises": "signal.default_int_handler",
    "ignores": "signal.SIG_IGN",
    "says so": "lambda *_: print('heard', flush=True)",
}


@pytest.mark.parametrize("where", ["import", "startup", "update"])
@pytest.mark.parametrize("how", OWN)
def test_handlers_of_the_app_do_not_keep_ctrl_c_from_us(project: Project, serve: Serve, how: str, where: str) -> None:
    """They are called, if they can be; what they raise is not needed to end the server."""
    own = f"signal.signal(signal.SIGINT, {OWN[how]})\n"
    text = "import signal, sys\nVALUE = 1\n"
    project["main.py"] = MAIN
    project["helper.py"] = {
        "import": text + own,
        "startup": text + f"def start(): {own}",
        "update": text,
    }[where]
    server = serve("main:app")
    server.wait_for("/", 1)
    if where == "update":
        project["helper.py"] = text.replace("1", "2") + own
        server.wait_for("/", 2)
    assert server.interrupt() == 0
    assert f"stopped {2 if where == 'update' else 1}" in server.lines
    assert how != "says so" or "heard" in server.lines
    assert "Traceback" not in server.output


def test_child_that_was_forked_can_be_terminated(project: Project, serve: Serve) -> None:
    """It has inherited our handlers, under which it would go on for ever."""
    project["main.py"] = MAIN
    project["helper.py"] = (
        "import multiprocessing, time\nVALUE = 1\n"
        "child = multiprocessing.get_context('fork').Process(target=time.sleep, args=(100,))\n"
        "def start(): child.start()\n"
        "def stop():\n    child.terminate()\n    child.join(20)\n    print('child', child.exitcode, flush=True)\n"
    )
    server = serve("main:app")
    server.wait_for("/", 1)
    assert server.interrupt() == 0
    assert "child -15" in server.lines, server.output
