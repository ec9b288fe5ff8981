"""Lets the injected script run under the page's own Content-Security-Policy, changing no more than it must."""

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

_NONCE = re.compile(r"'nonce-([A-Za-z0-9+/_=-]+)'", re.IGNORECASE)
ENFORCED = b"content-security-policy"
HEADERS = frozenset({ENFORCED, ENFORCED + b"-report-only"})
SCRIPT = ("script-src-elem", "script-src", "default-src")
CONNECT = ("connect-src", "default-src")


@dataclass(frozen=True, slots=True)
class Admission:
    """What it takes to run under the policies: headers to send, the tag's nonce, what was added where."""

    headers: tuple[tuple[bytes, bytes], ...]
    nonce: str
    added: tuple[str, ...]


def admit(headers: Iterable[tuple[bytes, bytes]]) -> Admission | None:
    """Policy headers under which our script runs and connects; None where a sandbox keeps every script out.

    A policy that only reports gets the same, lest it reports us.
    """
    given = tuple(headers)
    parsed = [(name, [_parse(policy) for policy in _split(value)]) for name, value in given]
    policies = [policy for _, header in parsed for policy in header]
    enforced = [policy for name, header in parsed if name.lower() == ENFORCED for policy in header]
    if any(not _sandbox_lets_us_run(policy) for policy in enforced):
        return None
    nonce = next(filter(None, map(_page_nonce, [*enforced, *policies])), "") or secrets.token_urlsafe(16)
    added = [note for policy in policies for note in (_admit_script(policy, nonce), _admit_connect(policy)) if note]
    sent = tuple((name, ", ".join(map(_format, header)).encode("latin-1")) for name, header in parsed)
    used = any(f"'nonce-{nonce}'" in source for policy in policies for sources in policy.values() for source in sources)
    return Admission(sent if added else given, nonce if used else "", tuple(dict.fromkeys(added)))


type Policy = dict[str, list[str]]


def _split(value: bytes) -> list[str]:
    return [policy for policy in value.decode("latin-1").split(",") if policy.strip()]


def _parse(policy: str) -> Policy:
    parsed: Policy = {}
    for directive in policy.split(";"):
        name, *sources = directive.split() or [""]
        if name:
            parsed.setdefault(name.lower(), sources)  # browsers ignore a repeated directive
    return parsed


def _format(policy: Policy) -> str:
    return "; ".join(" ".join((name, *sources)) for name, sources in policy.items())


def _effective(policy: Policy, names: tuple[str, ...]) -> tuple[str, list[str]] | None:
    return next(((name, policy[name]) for name in names if name in policy), None)


def _sandbox_lets_us_run(policy: Policy) -> bool:
    flags = policy.get("sandbox")
    return flags is None or {"allow-scripts", "allow-same-origin"} <= {flag.lower() for flag in flags}


def _page_nonce(policy: Policy) -> str:
    found = _effective(policy, SCRIPT)
    matches = (_NONCE.fullmatch(source) for source in (found[1] if found else ()))
    return next((match[1] for match in matches if match), "")


def _admit_script(policy: Policy, nonce: str) -> str:
    found = _effective(policy, SCRIPT)
    if found is None:
        return ""
    name, sources = found
    lower = {source.lower() for source in sources}
    if f"'nonce-{nonce}'" in sources:
        return ""
    if "'strict-dynamic'" in lower:
        return _add(policy, name, "script-src-elem", sources, f"'nonce-{nonce}'")
    if lower & {"'self'", "*"}:
        return ""
    # Not a nonce: that would switch off an 'unsafe-inline' which the page relies on.
    return _add(policy, name, "script-src-elem", sources, "'self'")


def _admit_connect(policy: Policy) -> str:
    found = _effective(policy, CONNECT)
    if found is None or {"'self'", "*"} & {source.lower() for source in found[1]}:
        return ""
    return _add(policy, found[0], "connect-src", found[1], "'self'")


def _add(policy: Policy, name: str, own: str, sources: list[str], source: str) -> str:
    """Add `source` to `name`, or to a copy under `own` where `name` is the fallback that rules other things too."""
    target = own if name == "default-src" else name
    policy[target] = [*(kept for kept in sources if kept.lower() != "'none'"), source]
    shown = "'nonce-…'" if source.startswith("'nonce-") else source
    return f"{target} {shown}"
