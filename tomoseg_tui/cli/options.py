"""Options that several verbs share, and checks of what stands after an option."""

import argparse
import re
from pathlib import Path
from typing import Any

RENDERERS = ("halfblock", "braille", "ascii", "sixel", "kitty")


def add_render_options(parser: Any) -> None:
    """Say how a picture is drawn, and into which file."""
    parser.add_argument("--width", type=int, metavar="COLS", help="width of the drawing in columns")
    parser.add_argument("--renderer", choices=RENDERERS, help="how to draw; found out by default")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.png", help="draw into a file")
    parser.add_argument("--force", action="store_true", help="replace an existing file")


def add_wait_options(parser: Any) -> None:
    """Say whether the job is waited for, and whether it waits itself."""
    parser.add_argument("--wait", action="store_true", help="watch the job until it is done")
    parser.add_argument("--now", action="store_true", help="begin at once, whatever its device is at")


def add_location_options(parser: Any, here_help: str) -> None:
    """Say on which machine the job computes."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--slurm",
        nargs="?",
        const="",
        metavar="K=V,...",
        help="hand it to Slurm: partition=P,time=2:00:00,memory=16G,...",
    )
    group.add_argument("--here", action="store_true", help=here_help)


def add_job_options(parser: Any) -> None:
    """Say where and when a job begins, and whether it is waited for."""
    add_location_options(parser, "compute on this machine, though the project says Slurm")
    parser.add_argument(
        "--after", action="append", default=[], metavar="JOB", help="begin when this job is done; may be repeated"
    )
    add_wait_options(parser)


def add_estimate_option(parser: Any) -> None:
    """Let what a job takes be told instead of starting it."""
    parser.add_argument(
        "--estimate", action="store_true", help="say what time, memory and disk it would take, and start nothing"
    )


def add_feature_option(parser: Any, *, required: bool = False) -> None:
    """Let features be named."""
    parser.add_argument(
        "--feature", action="append", default=[], required=required, metavar="F", help="feature; may be repeated"
    )


def add_tile_selection(parser: Any, text: str) -> None:
    """Let tiles be named, or all of a tomogram."""
    parser.add_argument("--tiles", nargs="+", metavar="ID", help=text)
    parser.add_argument("--tomogram", metavar="T", help="all tiles of a tomogram")


def positive_float(text: str) -> float:
    """Read a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return value


def positive_int(text: str) -> int:
    """Read a whole number from 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return value


def non_negative_int(text: str) -> int:
    """Read a whole number from 0."""
    return 0 if text == "0" else positive_int(text)


def device_name(text: str) -> str:
    """Read the name of a device."""
    if not re.fullmatch(r"cpu|gpu(:[0-9]+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is neither cpu, gpu nor gpu:N")
    return text
