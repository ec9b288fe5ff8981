"""Everything that fastapi-hmr raises on purpose."""


class HmrError(Exception):
    """Base of the family. Its text names the thing, quotes the value and ends with the remedy."""


class ConfigError(HmrError):
    """An option, a pyproject table or a combination of options that makes no sense."""


class AppNotFound(HmrError):
    """No app where one was named, or none in any usual place."""


class BindError(HmrError):
    """The listening socket can't be had."""


class StartupFailed(HmrError):
    """The lifespan of a generation failed to start; `__cause__` is what the app raised, if it raised."""


class NotMain(HmrError):
    """`dev()` was called outside `if __name__ == "__main__"`."""
