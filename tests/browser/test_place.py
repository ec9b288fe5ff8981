"""Where in a document the script goes."""

import pytest

from fastapi_hmr.browser.place import is_document, opts_out, place

WHOLE = [
    "<!doctype html><html><head>|<title>",
    "<!DOCTYPE HTML PUBLIC '-//W3C//DTD HTML 4.01//EN'>\n<HTML>\n<HEAD>|\n",
    "\n\n  <!-- <head> is not here -->\n<!doctype html><html lang='a>b'><head data-x=\"1>2\">|",
    "<html><!-- c --><head\n\tclass=x >|<meta>",
    "<head/>|x",
    "<?xml version='1.0'?><!doctype html><html><head>|",
    "<!doctype html>|<title>no head tag</title>",
    "<!doctype html><html>|<body>",
    "<!doctype html><html>|<header>not a head</header>",
    "<!doctype html>|<htmlx>",
    "|<p>a fragment",
    "|plain text",
    "<!--> |not a comment any more: --><head>",
    "<!---->|<p>",
    "<!-- a --!><head>|",
    "\ufeff<html><head>|",
]


@pytest.mark.parametrize("marked", WHOLE)
def test_place_is_after_head_or_where_a_head_would_open(marked: str) -> None:
    """Comments, attributes and look-alikes don't fool it."""
    before, after = marked.split("|")
    body = (before + after).encode()
    expected = len(before.encode())
    assert place(body + b" " * 20) == expected


@pytest.mark.parametrize("marked", WHOLE)
def test_place_is_the_same_however_the_document_is_cut(marked: str) -> None:
    """Arriving byte by byte, it is undecided until it is right."""
    before, after = marked.split("|")
    body = (before + after).encode() + b" " * 20
    decided = [at for end in range(1, len(body) + 1) if (at := place(body[:end])) is not None]
    assert decided
    assert set(decided) == {len(before.encode())}


def test_place_is_quick_on_hostile_beginnings() -> None:
    """Repeated openings, quotes and blanks of 64 kB are decided at once."""
    for text in (
        b"<!--" * 16_000,
        b"<html " + b"a='" * 20_000,
        b" " * 64_000,
        b"<html " + b"'\"" * 30_000,
        b"<head " + b" a" * 30_000,
    ):
        place(text)
        is_document(text)
        opts_out(text)


def test_document_is_known_by_its_beginning() -> None:
    """A doctype, <html> or <head>, after blanks and comments."""
    assert all(map(is_document, (b"<!doctype html>", b" <!-- x --> <HTML>", b"<head>", b"\xef\xbb\xbf<html lang=en>")))
    assert not any(map(is_document, (b"", b"<p>", b"<header>", b"<!-- <html> --><p>", b"text <html>")))


def test_opt_out_is_an_attribute_of_html() -> None:
    """Not a look-alike, not text, not another value."""
    assert opts_out(b"<!doctype html><html data-fastapi-hmr=off><head>")
    for body in (
        b"<html data-fastapi-hmr=on>",
        b"<html data-fastapi-hmr-x=off>",
        b"<p data-fastapi-hmr=off>",
        b"<html>",
    ):
        assert not opts_out(body)
