"""Verdict: what the error of an update says about the edit, and why modules run again, in words for people."""

import traceback
from collections.abc import Container
from pathlib import Path

from fastapi_hmr.engine.affected import Plan
from fastapi_hmr.engine.places import real
from fastapi_hmr.engine.watchdog import ImportTimeout

_HERE = Path(__file__).resolve().parent


def surely_broken(error: BaseException, edited: Container[Path]) -> bool:
    """Whether a cold start would raise the same: source that does not compile, an import that does not end."""
    if isinstance(error, ImportTimeout):
        return True
    if isinstance(error, SyntaxError):
        return error.filename is not None and real(Path(error.filename)) in edited
    if not isinstance(error, (ModuleNotFoundError, NameError)) or isinstance(error, UnboundLocalError):
        return False
    # A name that is not there, in the very lines that were saved: what was kept has no part in it.
    raised = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if "<frozen" not in frame.f_code.co_filename]
    own = [frame for frame in raised if not Path(frame.f_code.co_filename).is_relative_to(_HERE)]
    return bool(own) and own[-1].f_code.co_name == "<module>" and real(Path(own[-1].f_code.co_filename)) in edited


def explain(plan: Plan) -> str:
    """Why modules run again, for people."""
    reasons = list(dict.fromkeys(plan.hit.values()))
    first = reasons[0] if len(reasons) == 1 else f"{reasons[0]} and {len(reasons) - 1} more"
    others = len(plan.names - plan.hit.keys())
    if not others:
        return first
    return f"{first}; {others} module{'s' if others > 1 else ''} depend{'' if others > 1 else 's'} on it"


def summary(error: BaseException) -> str:
    """An exception in one line."""
    try:
        text = str(error).strip().splitlines()
    except BaseException as fault:  # noqa: BLE001 - it is the app's code
        text = [f"({type(fault).__name__} in its __str__)"]
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__
