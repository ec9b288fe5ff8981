"""Pre-commit hook: fails for a TOML or YAML file that cannot be read."""

import sys
import tomllib
from pathlib import Path

import yaml


def problem(path: Path) -> str | None:
    """Say what is wrong with the file, or nothing."""
    try:
        if path.suffix == ".toml":
            tomllib.loads(path.read_text())
        else:
            yaml.safe_load(path.read_text())
    except (tomllib.TOMLDecodeError, yaml.YAMLError, UnicodeDecodeError) as error:
        return f"{path}: {error}"
    return None


if __name__ == "__main__":
    problems = [text for argument in sys.argv[1:] if (text := problem(Path(argument)))]
    print(*problems, sep="\n", end="\n" if problems else "")
    sys.exit(bool(problems))
