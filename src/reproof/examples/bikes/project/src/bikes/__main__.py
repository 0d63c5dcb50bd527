"""Runs one step: `python -m bikes confs/training.yaml`."""

import argparse
import sys
from importlib import import_module
from pathlib import Path

from bikes.errors import BikesError
from bikes.settings import read_settings


def main(arguments: list[str] | None = None) -> int:
    """Run the step that a settings file describes.

    Args:
        arguments: The words of the command line; those of this process by default.

    Returns:
        The exit status: 0, or 2 if the settings, the data or the model cannot be used.
    """
    parser = argparse.ArgumentParser(prog="python -m bikes", description=__doc__)
    parser.add_argument("conf_file", type=Path, help="a settings file, such as confs/training.yaml")
    conf_file = parser.parse_args(arguments).conf_file
    try:
        settings = read_settings(conf_file)
        # Of the steps only the one that is run is imported: no other can change its result.
        import_module(f"bikes.{settings.step}").run(settings)
    except BikesError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
