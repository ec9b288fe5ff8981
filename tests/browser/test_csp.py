"""What is changed in a page's Content-Security-Policy, and what is not."""

import pytest

from fastapi_hmr.browser.csp import Admission
from fastapi_hmr.browser.csp import admit as admit_headers

UNCHANGED = [
    "script-src 'self'; connect-src 'self'",
    "script-src *; connect-src *",
    "img-src 'none'",
    "default-src 'self'",
    "default-src 'self'; require-trusted-types-for 'script'; trusted-types app",
    "script-src 'self' 'unsafe-inline'",
    "style-src 'none'; upgrade-insecure-requests",
    "",
]


def admit(policies: list[bytes], name: bytes = b"content-security-policy") -> Admission | None:
    """The answer to policies that came one in each header."""
    return admit_headers([(name, policy) for policy in policies])


def values(admission: Admission) -> tuple[bytes, ...]:
    """The policies to send, without the header's name."""
    return tuple(value for _, value in admission.headers)


@pytest.mark.parametrize("policy", UNCHANGED)
def test_policy_that_admits_us_is_sent_as_it_is(policy: str) -> None:
    """Byte for byte, without a nonce."""
    admission = admit([policy.encode()])
    assert admission is not None
    assert (values(admission), admission.nonce, admission.added) == ((policy.encode(),), "", ())


def test_nonce_of_the_page_is_reused() -> None:
    """Nothing is added for the script: the tag carries the page's nonce."""
    admission = admit([b"script-src 'nonce-r4nd0m=='; connect-src 'self'"])
    assert admission is not None
    assert (admission.nonce, admission.added) == ("r4nd0m==", ())


@pytest.mark.parametrize(
    ("policy", "sent"),
    [
        ("default-src 'none'", "default-src 'none'; script-src-elem 'self'; connect-src 'self'"),
        (
            "default-src cdn.example",
            "default-src cdn.example; script-src-elem cdn.example 'self'; connect-src cdn.example 'self'",
        ),
        ("script-src 'none'", "script-src 'self'"),
        ("script-src 'sha256-abc='", "script-src 'sha256-abc=' 'self'"),
        ("script-src 'unsafe-inline'", "script-src 'unsafe-inline' 'self'"),
        ("script-src 'self'; script-src-elem x.example", "script-src 'self'; script-src-elem x.example 'self'"),
        ("connect-src api.example", "connect-src api.example 'self'"),
        ("SCRIPT-SRC 'NONE'", "script-src 'self'"),
    ],
)
def test_missing_permission_is_added_where_it_rules_least(policy: str, sent: str) -> None:
    """To the narrowest directive, so that images, styles and frames stay as restricted as they were."""
    admission = admit([policy.encode()])
    assert admission is not None
    assert values(admission) == (sent.encode(),)
    assert admission.added


def test_strict_dynamic_without_nonce_gets_one() -> None:
    """There 'self' counts for nothing."""
    admission = admit([b"script-src 'strict-dynamic' 'sha256-abc='"])
    assert admission is not None
    assert admission.nonce
    assert values(admission) == (f"script-src 'strict-dynamic' 'sha256-abc=' 'nonce-{admission.nonce}'".encode(),)
    assert admission.added == ("script-src 'nonce-…'",)
    again = admit([b"script-src 'strict-dynamic'"])
    assert again is not None
    assert again.nonce != admission.nonce


def test_strict_dynamic_with_nonce_reuses_it() -> None:
    """The usual strict policy needs no change."""
    admission = admit([b"script-src 'nonce-abc' 'strict-dynamic'"])
    assert admission is not None
    assert (admission.nonce, admission.added) == ("abc", ())


def test_every_policy_must_admit_us() -> None:
    """Several headers, and several policies in one: each is satisfied by itself."""
    admission = admit([b"script-src 'nonce-abc', script-src 'none'", b"default-src 'self'"])
    assert admission is not None
    assert admission.nonce == "abc"
    assert values(admission) == (b"script-src 'nonce-abc', script-src 'self'", b"default-src 'self'")


def test_repeated_directive_is_the_first_one() -> None:
    """As browsers read it."""
    admission = admit([b"script-src 'none'; script-src 'self'"])
    assert admission is not None
    assert values(admission) == (b"script-src 'self'",)
    assert admission.added == ("script-src 'self'",)


def test_sandbox_without_our_origin_keeps_us_out() -> None:
    """A script of an opaque origin may not read our stream."""
    assert admit([b"sandbox"]) is None
    assert admit([b"default-src 'self'", b"sandbox allow-scripts"]) is None
    assert admit([b"sandbox allow-scripts allow-same-origin"]) is not None


def test_policy_that_only_reports_gets_the_same() -> None:
    """Lest each refresh is reported; a sandbox in it means nothing to a browser, and it names the nonce where no other does."""
    reporting = b"content-security-policy-report-only"
    admission = admit_headers([(reporting, b"sandbox; script-src 'nonce-abc'; connect-src 'none'")])
    assert admission is not None
    assert admission.nonce == "abc"
    assert admission.headers == ((reporting, b"sandbox; script-src 'nonce-abc'; connect-src 'self'"),)
    both = [(b"Content-Security-Policy", b"script-src 'nonce-one'"), (reporting, b"script-src 'nonce-two'")]
    admission = admit_headers(both)
    assert admission is not None
    assert admission.nonce == "one"
    assert values(admission) == (b"script-src 'nonce-one'", b"script-src 'nonce-two' 'self'")


def test_nonsense_is_no_exception() -> None:
    """Empty directives, blanks, odd bytes."""
    for policy in (b";;;", b", ,", b"script-src", b"\xff\xfe", b"script-src 'nonce-'"):
        assert admit([policy]) is not None
