"""`demo`: copy the sample data into a new project and run all steps on it, with the usual commands."""

import argparse
import contextlib
import io
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tomoseg_tui.cli.common import echo
from tomoseg_tui.errors import ProjectError, TomosegError

DEFAULT_FOLDER = "tomoseg_demo"
"""Folder of the demo's project if none is given."""
RUN_NAME = "demo"
FEATURES = ("microtubule", "membrane")
"""Features, in the order of their labels."""


def sample_data() -> Path:
    """Return the folder of the sample data: in the installed package, or beside it in a checkout.

    Raises
    ------
    ProjectError
        If they are not installed.
    """
    package_folder = Path(__file__).parent
    for folder in (package_folder / "sample_data", package_folder.parent.parent / "sample_data"):
        if (folder / "tiles.csv").is_file():
            return folder
    raise ProjectError("The sample data are not installed.", "Run the demo from a checkout: make demo")


def demo(arguments: argparse.Namespace) -> int:
    """Run the demo; return the first exit code that is not 0."""
    root = (arguments.dir or Path(DEFAULT_FOLDER)).absolute()
    if root.exists() and any(root.iterdir()):
        raise ProjectError(f"{root} is not empty.", "Give a new folder: tomoseg demo DIR")
    started_at = time.monotonic()
    sample_folder = sample_data()
    data_copy = root / "sample_data"
    steps = _steps(root, data_copy)
    _run_step(["init", str(root)])
    data_copy.mkdir()
    for file in sorted(sample_folder.glob("*")):
        if file.is_file():
            shutil.copyfile(file, data_copy / file.name)
    for title, argv in steps:
        echo(f"\n== {title}")
        _run_step(["-p", str(root), *argv])
    _report_scores(root, data_copy, time.monotonic() - started_at)
    return 0


def _steps(root: Path, data_copy: Path) -> list[tuple[str, list[str]]]:
    """Return the steps of the demo: a title and the arguments of a command."""
    features = [argument for feature in FEATURES for argument in ("--feature", feature)]
    labels = [argument for number, feature in enumerate(FEATURES, 1) for argument in ("--map", f"{number}={feature}")]
    maps = [argument for feature in FEATURES for argument in ("--map", f"{RUN_NAME}:{feature}=card")]
    picture, triples = str(root / "cell_b.png"), str(root / "triples.png")
    return [
        ("Import two tomograms", ["import", str(data_copy / "cell_a.mrc"), str(data_copy / "cell_b.mrc")]),
        (
            "Place tiles in cell_a: some with a feature, some without",
            ["tiles", "import", str(data_copy / "tiles.csv")],
        ),
        (
            "Annotate them: here from the truth; usually a person paints the annotations",
            ["annotations", "import", str(data_copy / "cell_a_labels.mrc.gz"), "--tomogram", "cell_a", *labels],
        ),
        ("Train one network for both features", ["train", *features, "--name", RUN_NAME, "--wait"]),
        (
            "Compare its output with the annotation",
            ["networks", "triples", RUN_NAME, "--worst", "6", "-o", triples],
        ),
        ("Apply it to cell_b, which was not used for training", ["apply", RUN_NAME, "cell_b", "--wait"]),
        ("Merge the maps of the two features into labels", ["merge", "cell_b", *maps, "--wait"]),
        ("Show a slice with its labels", ["show", "cell_b", "--labels", "cell_b/merged", *_width_options()]),
        ("Save the same slice as an image", ["show", "cell_b", "--labels", "cell_b/merged", "-o", picture]),
    ]


def _width_options() -> list[str]:
    return [] if sys.stdout.isatty() else ["--width", "80"]


def _run_step(argv: Sequence[str]) -> None:
    """Print a command and run it."""
    from tomoseg_tui.cli.parser import parse
    from tomoseg_tui.project.history import format_command

    echo(f"$ {format_command(argv)}")
    arguments = parse(argv)
    code = int(arguments.handler(arguments) or 0)
    if code:
        raise TomosegError("The demo ends here: this step failed.", "See its error above.")


def _report_scores(root: Path, data_copy: Path, seconds: float) -> None:
    """Score the labels against the truth, and print where the results are."""
    argv = ["-p", str(root), "evaluate", "cell_b/merged", str(data_copy / "cell_b_labels.mrc.gz")]
    argv += [argument for number in range(1, len(FEATURES) + 1) for argument in ("--label", str(number))]
    echo("\n== Score the labels against the truth")
    with contextlib.redirect_stdout(io.StringIO()) as output:
        _run_step([*argv, "--json"])
    scores = json.loads(output.getvalue())["labels"]
    for number, feature in enumerate(FEATURES, start=1):
        score = scores[str(number)]
        print(
            f"{feature:12} Dice {score['dice']:.3f}  precision {score['precision']:.3f}  recall {score['recall']:.3f}"
        )
    print(f"Done in {seconds / 60:.1f} minutes. The project is {root}; open cell_b.png and triples.png there.")
    print(f"Continue by hand: cd {root} && tomoseg tomograms")
