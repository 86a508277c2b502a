"""Kill every command at every change of the disk, or let the disk answer with an error; then list, and say it again.

    python tests/bench/kill_commands.py [--every N] [--only NAME]

After each fault: every listing works; no tile is annotated without a layer; what the command did not name is as before;
the same command said again ends well, and then all is as if nothing had happened; no draft is left.
"""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.cli_runner import make_card, noise, put_card, write_map, write_mrc
from helpers.faulty_process import FaultyRunner, Outcome, faulty_runner

from tomoseg_tui.project.catalog import Project, make_project
from tomoseg_tui.workflow.tomograms.import_tomograms import ImportRequest, import_volumes

FAULTS = ("kill", "ENOSPC", "EIO")
LISTINGS = ("tomograms", "tiles list", "annotations list", "features", "trainset list", "networks")
COMMANDS = {
    "init": "init other",
    "import": "import new.mrc",
    "import two": "import new.mrc more.mrc",
    "tomograms rename": "tomograms rename cell_b cell_c",
    "tomograms remove": "tomograms remove cell_b",
    "features add": "features add wall",
    "features rename": "features rename tube microtubule",
    "tiles add": "tiles add cell_b --at 64,64,5 --feature tube",
    "tiles import": "tiles import tiles.csv",
    "tiles remove": "tiles remove cell_b:40,64,4:64 cell_b:80,64,4:64",
    "annotations import": "annotations import two.mrc --tomogram cell_b --map 1=tube --map 2=sheet --replace",
    "annotations set none": "annotations set cell_b:40,64,4:64 --feature tube --none",
    "annotations set done": "annotations set cell_b:64,64,6:64 --feature tube --done",
    "trainset build": "trainset build other --feature tube",
    "export": "export cell_b -o out.mrc",
}


@dataclass(frozen=True)
class Finding:
    """What a fault has spoiled."""

    command: str
    kind: str
    at: int
    problem: str


def make_seed(folder: Path, run: FaultyRunner) -> None:
    """Make a folder with a project that holds something of everything, and the files that the commands name."""
    project = make_project(folder / "project")
    for name in ("cell_a", "cell_b"):
        path = write_mrc(folder / f"{name}.mrc", noise((8, 128, 128), seed=len(name)))
        import_volumes(project, [path], ImportRequest())
    for name in ("new", "more"):
        write_mrc(folder / f"{name}.mrc", noise((4, 64, 64)))
    labels = np.ones((8, 128, 128), np.int8)
    write_mrc(folder / "one.mrc", labels)
    labels[:, :70] = 2
    write_mrc(folder / "two.mrc", labels)
    rows = "".join(f"cell_a,{x},64,3,tube,positive\n" for x in (40, 50))
    (folder / "tiles.csv").write_text(f"tomogram,x,y,z,feature,kind\n{rows}", encoding="utf-8")
    for words in (
        "tiles add cell_b --at 40,64,4 --feature tube",
        "tiles add cell_b --at 80,64,4 --feature tube",
        "annotations import one.mrc --tomogram cell_b --map 1=tube",
        "annotations set cell_b:40,64,4:64 --feature tube --done",
        "tiles add cell_b --at 64,64,6 --feature tube",
        "trainset build set --feature tube",
    ):
        outcome = run(folder, *words.split())
        assert outcome.code == 0, outcome.text
    put_card(Project.open(folder / "project"), make_card("run"))
    write_map(Project.open(folder / "project"), "run.tube", noise((8, 128, 128)) & 127, tomogram="cell_b")


def list_all(folder: Path, run: FaultyRunner) -> dict[str, Any]:
    """Return what all listings print; the outcome instead of one that fails."""
    outcomes = run.run_all(folder, [[*words.split(), "--json"] for words in LISTINGS])
    return {
        words: without_times(json.loads(outcome.text)) if outcome.code == 0 else outcome
        for words, outcome in zip(LISTINGS, outcomes, strict=True)
    }


def without_times(value: Any) -> Any:
    """Return a value of JSON without the time and the folder of its making."""
    if isinstance(value, list):
        return [without_times(item) for item in value]
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key not in {"created", "imported", "path"}}
    return value


def leftovers(project: Path) -> list[str]:
    """Return the drafts of dead processes."""
    names = [path for path in project.rglob(".*") if project in path.parents]
    return [
        str(path.relative_to(project))
        for path in names
        if "trash" not in path.parts and not path.match(".writer.*.json")
    ]


def problems(command: str, kind: str, at: int, seed: Path, done: dict[str, Any], run: FaultyRunner) -> Iterator[str]:
    """Try one fault; yield what is wrong afterwards."""
    words = COMMANDS[command].split()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "work"
        shutil.copytree(seed, folder)
        first = run(folder, *words, kind=kind, at=at)
        if first.code not in {0, 2, -9}:
            yield f"it ended with {first.code}: {first.text}"
        seen = list_all(folder, run)
        for name, answer in seen.items():
            if isinstance(answer, Outcome):
                yield f"{name} fails: {answer.text}"
        annotations = seen["annotations list"]
        for row in annotations if isinstance(annotations, list) else ():
            if row["state"] == "annotated" and row["pixels"] is None:
                yield f"annotated without a layer: {row['tile']}"
        if first.code == 0 and seen != done:
            yield f"it said that it is done: {first.text}"
        again = run(folder, *words)
        if first.code != 0 and again.code != 0 and command != "export":  # a file of the user is not written over
            yield f"it cannot be said again: {first.text} | {again.text}"
        if list_all(folder, run) != done:
            yield f"said again it ends otherwise: {again.text}"
        run(folder, "features", "add", "sweep")
        if kind != "EIO" and (left := leftovers(folder / "project")):  # a disk may refuse to remove a file
            yield f"left behind: {left}"


def sweep(
    names: Sequence[str], *, every: int = 1, kinds: Sequence[str] = FAULTS, points_per_command: int = 0
) -> list[Finding]:
    """Try the faults of some commands: at each `every`-th change, or at so many, spread evenly over the later ones."""
    findings = []
    with tempfile.TemporaryDirectory() as scratch, faulty_runner() as run:
        seed = Path(scratch) / "seed"
        seed.mkdir()
        make_seed(seed, run)
        for name in names:
            folder = Path(scratch) / "done"
            shutil.copytree(seed, folder)
            outcome = run(folder, *COMMANDS[name].split())
            assert outcome.code == 0, outcome.text
            done = list_all(folder, run)
            shutil.rmtree(folder)
            points = range(1, outcome.count + 1, every)
            if points_per_command:
                points = range(outcome.count, 0, -max(1, outcome.count // (points_per_command + 1)))[
                    :points_per_command
                ]
            for kind in kinds:
                found = [
                    Finding(name, kind, at, problem)
                    for at in points
                    for problem in problems(name, kind, at, seed, done, run)
                ]
                findings += found
                print(f"{name:22} {kind:7} {len(points)} of {outcome.count} changes, {len(found)} findings", flush=True)
                for finding in found:
                    print(f"    at {finding.at}: {finding.problem}", flush=True)
    return findings


def main() -> None:
    """Sweep as the arguments say; print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="try each Nth change of the disk")
    parser.add_argument("--only", choices=COMMANDS, action="append")
    arguments = parser.parse_args()
    sys.exit(bool(sweep(arguments.only or list(COMMANDS), every=arguments.every)))


if __name__ == "__main__":
    main()
