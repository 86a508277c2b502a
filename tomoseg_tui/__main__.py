"""``python -m tomoseg_tui``, and the console script: hand the arguments to the command line."""

import os
import sys

from tomoseg_tui.cli.main import run


def main() -> int:
    """Run the program; return its exit code."""
    if sys.getfilesystemencoding() != "utf-8":  # names, records and the screen are UTF-8 in any locale
        os.environ["PYTHONUTF8"] = "1"  # for the workers
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606  # the same program
    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
