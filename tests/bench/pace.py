"""Relative duration of trainings without start-up; run by the benchmark.

`python pace.py PROJECT RUN... [--rounds N]` trains networks like the given runs, alternating epochs, including
validation, and prints JSON: for each the shortest epoch, times its epochs. Two
trainings one after the other would be influenced more by other load of the machine.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from speed import Timed

from tomoseg_tui.core.network_settings import TrainingSettings
from tomoseg_tui.ml.tf_devices import prepare_device
from tomoseg_tui.ml.training import TrainingRun, steps_in_epoch
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.training.trainset import load_patches


def training(project: Project, name: str, folder: Path) -> tuple[Callable[[], int], int]:
    """Return a function that trains for an epoch, and how many epochs the run had."""
    card = catalog.load_network_card(project.layout, name)
    _, patches, _ = load_patches(project.layout.network_trainset(name))
    settings = TrainingSettings(card.network, card.epochs, card.learning_rate, card.batch, card.seed)
    run, steps = TrainingRun(patches, settings, folder), steps_in_epoch(patches, settings)

    def epoch() -> int:
        run.train_epoch(steps, lambda _step, _steps: None, lambda: False)
        run.validate()
        return 1

    return epoch, card.epochs


def measure(project: Project, runs: list[str], rounds: int, folder: Path) -> dict[str, dict[str, float]]:
    """Time all alternately."""
    asked = {run: training(project, run, folder) for run in runs}
    for epoch, _ in asked.values():
        epoch()  # the first compiles
    timed = {run: Timed() for run in asked}
    for _ in range(rounds):
        for run, (epoch, _) in asked.items():
            timed[run].again(epoch)
    return {
        run: {"train_s": timed[run].wall_s * epochs, "train_cpu_s": timed[run].cpu_s * epochs}
        for run, (_, epochs) in asked.items()
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", type=Path)
    parser.add_argument("runs", nargs="+")
    parser.add_argument("--rounds", type=int, default=6)
    arguments = parser.parse_args()
    prepare_device("cpu")
    with tempfile.TemporaryDirectory(prefix="tomoseg-pace-") as folder:
        print(json.dumps(measure(Project.open(arguments.project), arguments.runs, arguments.epochs, Path(folder))))


if __name__ == "__main__":
    main()
