"""Kill a painting process at random moments, and check that every stroke reported as saved exists.

All processes use one project, one after the other. Each paints, undoes and
redoes with a seed, so that this program knows the content of the tile after each move. It saves in a thread,
as the screen does, and reports how many moves are saved. `make kills` does this 200 times; a test does it 20 times.
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tomoseg_tui.core.annotation import Layer, LayerChange
from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.core.paint_tools import polyline_mask
from tomoseg_tui.core.tiles import FeatureState, TileLocation, parse_tile_id
from tomoseg_tui.io.mrc import MrcWriter
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.catalog import Project, make_project
from tomoseg_tui.workflow.annotations.paint_session import PaintSession, paint_lock_owner
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement
from tomoseg_tui.workflow.tomograms.import_tomograms import ImportRequest, import_volumes

PLACE = TileLocation("cell", 2, 32, 32)
FEATURES = ("tube", "wall")
MOVES = 300
"""Moves of one process; more than it can make before it is killed."""
LATEST_SECONDS = 0.6
"""A process is killed within this time after it has started to paint."""


def make_tile(folder: Path) -> Project:
    """Return a project with one tile for two features."""
    project = make_project(folder)
    with tempfile.TemporaryDirectory() as elsewhere:
        path = Path(elsewhere) / "cell.mrc"
        with MrcWriter(path, VoxelGrid((4, 64, 64), 10.0, (0, 0, 0), (0, 0, 0)), np.dtype(np.int8)) as out:
            out.write_slices(0, np.random.default_rng(7).integers(-99, 99, (4, 64, 64)).astype(np.int8))
        import_volumes(project, [path], ImportRequest(polarity="dark", voxel_size_angstrom=10.0))
    place_tiles(project, [tile_placement(PLACE, feature, negative=False) for feature in FEATURES])
    return Project.open(folder)


def moves(painting: PaintSession, seed: int) -> Iterator[LayerChange]:
    """Paint with a seed; yield each change to save."""
    chance = random.Random(seed)
    for _ in range(MOVES):
        kind, feature = chance.random(), chance.choice(FEATURES)
        points = [(chance.randrange(64), chance.randrange(64)) for _ in range(3)]
        width, value = chance.randint(1, 15), chance.randint(0, 3)
        if kind < 0.15:
            change = painting.undo()
        elif kind < 0.25:
            change = painting.redo()
        elif kind < 0.28 and painting.states[feature] is not FeatureState.NONE_HERE:
            change = painting.mark_done(feature)
        elif kind < 0.3:
            change = painting.mark_none_here(feature)
        elif painting.states[feature] is FeatureState.NONE_HERE:
            change = painting.mark_wanted(feature)
        else:
            change = painting.stroke(feature, polyline_mask((64, 64), points, width), value, "brush")
        if change is not None:
            yield change


def paint(folder: Path, place: TileLocation, seed: int) -> None:
    """The process that is killed: print "ready", then the number of saved moves after each save."""
    painting = PaintSession.open(Project.open(folder), place)
    print("ready", flush=True)
    ended = threading.Event()

    def keep() -> None:
        kept = 0
        while not ended.is_set() or painting.unsaved_count:
            kept += painting.save()
            print(kept, flush=True)

    writer = threading.Thread(target=keep)
    writer.start()
    pauses = random.Random(seed + 1)
    for _ in moves(painting, seed):
        time.sleep(pauses.choice([0.0, 0.001, 0.01]))
    ended.set()
    writer.join()
    painting.close()


@dataclass(frozen=True)
class Found:
    """The state after one kill."""

    output: int
    """Moves that the process reported as saved."""
    there: int | None
    """Moves that the tile contains; None if its content matches no number of moves."""

    @property
    def fault(self) -> str | None:
        """What is wrong, if anything."""
        if self.there is None:
            return "the tile holds what was never painted"
        return (
            f"{self.output - self.there} of {self.output} kept strokes are lost" if self.there < self.output else None
        )


def kill_once(project: Project, seed: int) -> Found:
    """Start a painting process, kill it at a random moment, and compare the tile with the expected content."""
    before = PaintSession.open(project, PLACE)
    pictures = [_picture(before)]
    pictures += [_picture(before) for _ in moves(before, seed)]
    output = _killed(project.layout.root, seed)
    after = PaintSession.open(project, PLACE)
    there = _picture(after)
    read = {feature: read_layer(project.layout, PLACE, feature) for feature in FEATURES}
    known = all(layer is None or np.array_equal(layer, there[0][feature]) for feature, layer in read.items())
    if not known or after.remarks or paint_lock_owner(project, PLACE) is not None:
        return Found(output, None)
    fitting = [number for number, picture in enumerate(pictures) if _is_same(picture, there)]
    return Found(output, next((number for number in fitting if number >= output), fitting[-1] if fitting else None))


def _picture(painting: PaintSession) -> tuple[dict[str, Layer], int]:
    return dict(painting.layers), painting.undo_depth


def _is_same(one: tuple[dict[str, Layer], int], other: tuple[dict[str, Layer], int]) -> bool:
    return one[1:] == other[1:] and all(np.array_equal(one[0][feature], other[0][feature]) for feature in FEATURES)


def _killed(folder: Path, seed: int) -> int:
    """Start a process and kill it; return the number of moves that it reported as saved."""
    arguments = [sys.executable, __file__, "--paint", str(folder), PLACE.id, str(seed)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", "the process did not begin"
        time.sleep(random.Random(seed).uniform(0, LATEST_SECONDS))
        process.send_signal(signal.SIGKILL)
        lines = process.stdout.read().splitlines(keepends=True)
    return max([0, *(int(line) for line in lines if line.endswith("\n"))])


def kill_often(folder: Path, count: int, seed: int) -> list[Found]:
    """Kill processes repeatedly in one project; then undo all strokes."""
    project = make_tile(folder)
    found = [kill_once(project, seed + number) for number in range(count)]
    with PaintSession.open(project, PLACE) as painting:
        while painting.undo() is not None:
            pass
        assert not any(layer.any() for layer in painting.layers.values()), "undo of all does not lead to the start"
    assert set(catalog.tile_at(project.layout, PLACE).states.values()) == {FeatureState.WANTED}
    leftovers = [path for path in project.layout.annotation_folder(PLACE).iterdir() if path.name[0] == "."]
    assert not leftovers, f"drafts are left: {leftovers}"
    return found


def main() -> int:
    """Kill the given number of times, and print the outcome."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--paint", nargs=3, metavar=("PROJECT", "TILE", "SEED"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.paint:
        paint(Path(asked.paint[0]), parse_tile_id(asked.paint[1]), int(asked.paint[2]))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        found = kill_often(Path(folder) / "project", asked.count, asked.seed)
    faults = [f"kill {number}: {one.fault}" for number, one in enumerate(found) if one.fault]
    output, more = sum(one.output for one in found), sum((one.there or 0) - one.output for one in found)
    print(
        f"{len(found)} kills while painting: {output} strokes said to be kept, {more} more were; faults: {len(faults)}"
    )
    print("\n".join(faults), end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
