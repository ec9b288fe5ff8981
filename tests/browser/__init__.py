"""Tests of the browser's side."""
