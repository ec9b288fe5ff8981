"""`python -m fastapi_hmr`, and the `fastapi-hmr` script."""

from fastapi_hmr.cli import command


def main() -> None:
    """Run the command."""
    command(prog_name="fastapi-hmr")


if __name__ == "__main__":
    main()
