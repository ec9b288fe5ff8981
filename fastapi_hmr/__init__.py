"""The FastAPI dev server with hot module reload: importing this package costs nothing and does nothing."""

__version__ = "0.1.0"
