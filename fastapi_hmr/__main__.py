"""`python -m fastapi_hmr`, and the `fastapi-hmr` script."""

from fastapi_hmr import collector


def main() -> None:
    """Run the command."""
    collector.put_off()
    from fastapi_hmr.cli import command

    command(prog_name="fastapi-hmr")


if __name__ == "__main__":
    main()
