"""``python -m tomoseg_tui``, and the console script: hand the arguments to the command line."""

import sys

from tomoseg_tui.cli.main import run


def main() -> int:
    """Run the program; return its exit code."""
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
