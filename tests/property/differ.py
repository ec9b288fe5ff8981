"""Says where two answers differ, path by path, instead of printing both."""

from collections.abc import Iterator
from typing import Any

LIMIT = 160


def differences(cold: Any, hot: Any, path: str = "") -> Iterator[str]:
    """One line for each place where they differ."""
    if isinstance(cold, dict) and isinstance(hot, dict):
        for key in sorted(cold.keys() | hot.keys()):
            if key not in hot:
                yield f"{path}/{key}: cold {short(cold[key])}, hot has none"
            elif key not in cold:
                yield f"{path}/{key}: cold has none, hot {short(hot[key])}"
            else:
                yield from differences(cold[key], hot[key], f"{path}/{key}")
    elif cold != hot or type(cold) is not type(hot):
        yield f"{path}: cold {short(cold)}, hot {short(hot)}"


def short(value: Any) -> str:
    """A value on one line."""
    text = repr(value)
    return text if len(text) <= LIMIT else text[:LIMIT] + "…"


def explain(result: dict[str, Any]) -> str:
    """What went wrong in a result, save by save."""
    lines = []
    last_good: Any = None
    for verdict in result["verdicts"]:
        cold, hot = verdict["cold"], verdict.get("hot")
        wanted = last_good if "error" in cold else cold["observed"]
        if not verdict["ok"]:
            lines.append(f"  save {verdict['step']} ({verdict['name']}): {'; '.join(verdict['why'])}")
            if "error" in cold:
                lines.append(f"    cold raises {short(cold['error'])}")
            if hot is not None:
                lines += [f"    {line}" for line in list(differences(wanted, hot["observed"]))[:8]]
                lines += [f"    hot reports {short(error)}" for error in hot["errors"]]
                lines.append(f"    engine: {short({k: v for k, v in (hot['report'] or {}).items() if k != 'trace'})}")
                lines += [f"    {line}" for line in str((hot["report"] or {}).get("crash", "")).splitlines()[-12:]]
        last_good = wanted
    if result["trouble"]:
        lines.append("  trouble: " + result["trouble"][-1500:])
    return "\n".join(lines)
