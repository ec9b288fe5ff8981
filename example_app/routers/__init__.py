"""Pages, API and live connections, one module each."""
