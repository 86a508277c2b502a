"""`demo`: copy the sample data into a new project and run the whole way on it, by the commands that everybody uses."""

import argparse
import contextlib
import io
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tomoseg_tui.cli.common import say
from tomoseg_tui.errors import ProjectError, TomosegError

FOLDER = "tomoseg_demo"
"""Where the demo's project goes if no folder is named."""
RUN = "demo"
FEATURES = ("microtubule", "membrane")
"""In the order of their labels."""


def sample_data() -> Path:
    """Return where the sample data lie: in the package when installed, beside it in a checkout.

    Raises
    ------
    ProjectError
        If they were left out.
    """
    here = Path(__file__).parent
    for folder in (here / "sample_data", here.parent.parent / "sample_data"):
        if (folder / "tiles.csv").is_file():
            return folder
    raise ProjectError("The sample data are not installed.", "Run the demo from a checkout: make demo")


def demo(arguments: argparse.Namespace) -> int:
    """Run the demo; return the first exit code that is not 0."""
    root = (arguments.dir or Path(FOLDER)).absolute()
    if root.exists() and any(root.iterdir()):
        raise ProjectError(f"{root} is not empty.", "Name a new folder: tomoseg demo DIR")
    began = time.monotonic()
    samples = sample_data()
    copies = root / "sample_data"
    steps = _steps(root, copies)
    _step(["init", str(root)])
    copies.mkdir()
    for file in sorted(samples.glob("*")):
        if file.is_file():
            shutil.copy(file, copies)
    for title, words in steps:
        say(f"\n== {title}")
        _step(["-p", str(root), *words])
    _tell_result(root, copies, time.monotonic() - began)
    return 0


def _steps(root: Path, copies: Path) -> list[tuple[str, list[str]]]:
    """Return what the demo does, each step a command of its own."""
    features = [word for feature in FEATURES for word in ("--feature", feature)]
    labels = [word for number, feature in enumerate(FEATURES, 1) for word in ("--map", f"{number}={feature}")]
    maps = [word for feature in FEATURES for word in ("--map", f"{RUN}:{feature}=card")]
    picture, triples = str(root / "cell_b.png"), str(root / "triples.png")
    return [
        ("Import two tomograms", ["import", str(copies / "cell_a.mrc"), str(copies / "cell_b.mrc")]),
        (
            "Place tiles in cell_a: some that hold a feature, some that do not",
            ["tiles", "import", str(copies / "tiles.csv")],
        ),
        (
            "Annotate them: here from the truth, which a person would paint",
            ["annotations", "import", str(copies / "cell_a_labels.mrc.gz"), "--tomogram", "cell_a", *labels],
        ),
        ("Train one network for both features", ["train", *features, "--name", RUN, "--wait"]),
        ("Look whether its output matches the annotation", ["networks", "triples", RUN, "--worst", "6", "-o", triples]),
        ("Apply it to cell_b, which it has never seen", ["apply", RUN, "cell_b", "--wait"]),
        ("Let the two features compete, and merge them into labels", ["merge", "cell_b", *maps, "--wait"]),
        ("One slice with its labels", ["show", "cell_b", "--labels", "cell_b/merged", *_width()]),
        ("The same as a picture", ["show", "cell_b", "--labels", "cell_b/merged", "-o", picture]),
    ]


def _width() -> list[str]:
    return [] if sys.stdout.isatty() else ["--width", "80"]


def _step(words: Sequence[str]) -> None:
    """Run one command as a person would, and show it."""
    from tomoseg_tui.cli.parser import parse
    from tomoseg_tui.project.history import command_line

    say(f"$ {command_line(words)}")
    arguments = parse(words)
    code = int(arguments.run(arguments) or 0)
    if code:
        raise TomosegError("The demo ends here: this step failed.", "See what it said above.")


def _tell_result(root: Path, copies: Path, seconds: float) -> None:
    """Score the labels against the truth, and tell where everything is."""
    words = ["-p", str(root), "evaluate", "cell_b/merged", str(copies / "cell_b_labels.mrc.gz")]
    words += [word for number in range(1, len(FEATURES) + 1) for word in ("--label", str(number))]
    say("\n== Score the labels against the truth")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        _step([*words, "--json"])
    scores = json.loads(printed.getvalue())["labels"]
    for number, feature in enumerate(FEATURES, start=1):
        score = scores[str(number)]
        print(
            f"{feature:12} Dice {score['dice']:.3f}  precision {score['precision']:.3f}  recall {score['recall']:.3f}"
        )
    print(f"Done in {seconds / 60:.1f} minutes. The project is {root}; look at cell_b.png and triples.png there.")
    print(f"Go on by hand: cd {root} && tomoseg tomograms")
