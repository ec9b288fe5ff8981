"""Finds the place for a script in a document that is still arriving: right after <head>, never inside a comment."""

import re

LIMIT = 64 * 1024
"""A document whose beginning is longer than this (one endless comment, say) gets the script at its end."""

_COMMENT = rb"<!--(?:-?>|.*?--!?>)"
_ATTRIBUTES = rb"""(?:\s(?:[^>"']|"[^"]*"|'[^']*')*+|/)?"""
_BEFORE_HEAD = re.compile(
    rb"(?:\xef\xbb\xbf)?"
    rb"(?:\s++|" + _COMMENT + rb"|<\?[^>]*>|<!doctype(?:\s[^>]*)?>|(?P<html><html" + _ATTRIBUTES + rb">))*+",
    re.IGNORECASE | re.DOTALL,
)
_HEAD = re.compile(rb"<head" + _ATTRIBUTES + rb">", re.IGNORECASE)
_DOCUMENT = re.compile(
    rb"(?:\xef\xbb\xbf)?(?:\s++|" + _COMMENT + rb"|<\?[^>]*>)*+<(?:!doctype|html|head)(?=[\s/>])",
    re.IGNORECASE | re.DOTALL,
)
_OPT_OUT = re.compile(rb"""\sdata-fastapi-hmr\s*=\s*["']?off["']?[\s/>]""", re.IGNORECASE)
_POLICY = re.compile(rb"""<meta\s[^>]*http-equiv\s*=\s*["']?content-security-policy""", re.IGNORECASE)
_BEGINNINGS = (b"<!--", b"<!doctype", b"<?", b"<html", b"<head", b"\xef\xbb\xbf")
_UTF16 = (b"\xfe\xff", b"\xff\xfe")


def place(body: bytes) -> int | None:
    """Where in `body`, the document's beginning, the script goes; None while more of it is needed.

    Without a <head> tag that is the end of what comes before one: the script then opens the head by itself.
    """
    before = _BEFORE_HEAD.match(body)
    end = before.end() if before else 0
    head = _HEAD.match(body, end)
    if head is not None:
        return head.end()
    return None if _unfinished(body[end : end + 16].lower()) else end


def _unfinished(rest: bytes) -> bool:
    """Whether what follows could still become a part of the beginning: nothing yet, or a tag cut in two."""
    if not rest:
        return True
    for beginning in _BEGINNINGS:
        if beginning.startswith(rest):
            return True
        if rest.startswith(beginning):  # opened and not closed, or another tag of which it is the beginning
            after = rest[len(beginning) : len(beginning) + 1]
            return beginning not in (b"<html", b"<head", b"<!doctype") or after in b" \t\r\n\f/>"
    return False


def is_document(body: bytes) -> bool:
    """Whether this begins like a whole document, not like a fragment."""
    return _DOCUMENT.match(body) is not None


def opts_out(body: bytes) -> bool:
    """Whether the page says `<html data-fastapi-hmr="off">`."""
    before = _BEFORE_HEAD.match(body)
    return before is not None and before["html"] is not None and _OPT_OUT.search(before["html"]) is not None


def has_policy(body: bytes) -> bool:
    """Whether a <meta> in this beginning of a document sets a Content-Security-Policy."""
    return _POLICY.search(body) is not None


def is_utf16(body: bytes) -> bool:
    """Whether a byte order mark says that ASCII inserted here would be read as something else."""
    return body.startswith(_UTF16)
