"""The test suite of fastapi-hmr."""
