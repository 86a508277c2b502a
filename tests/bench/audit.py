"""`make bench-audit`: corrupt a tenth of the labels and count how many of them an audit ranks in the first 15 %.

For microtubule and membrane, with seeds 0 to 4 each. Prints a table; asserts nothing. The goal is 0.7 of the corrupted
tiles in the first 15 %, on average.

There are three kinds of corruption, a third each, on random tiles:

- emptied: a positive tile whose mask is empty; it stays positive.
- shifted: a positive tile whose mask is moved by 12 pixels along x or y, to the side where more of it stays in the
  tile; what enters from outside is "not feature".
- swapped: alternately a positive tile marked "none here", and a negative tile made positive with the mask of a positive
  tile that is not corrupted.

``make bench-audit DATA=DIR`` takes ``train1.mrc``, ``train1_labels.mrc.gz`` and ``tiles_train1_FEATURE.csv`` from a
folder: 60 tiles per feature, of which 6 are corrupted and 9 are in the first 15 %. Without DATA it uses `sample_data`:
32 tiles, 3 corrupted, 5 in the first 15 %. Each audit is a job, started by the command.

A stopped benchmark continues: projects and results, one per feature and seed, are stored in WORK (by default in the
system's folder for temporary files), separately for each state of the code. Remove that folder to measure again.
"""

import argparse
import csv
import getpass
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from keeping import kept_folder
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, NOT_FEATURE
from tomoseg_tui.io.trainset_file import TrainsetTile, read_training_set, write_training_set

LABELS = {"microtubule": 1, "membrane": 2}
"""Features that are audited, and their numbers in the label volumes."""
SPOILT_PERCENT, FIRST_PERCENT = 10, 15
SHIFT_PIXELS = 12
WANTED = 0.7
SAMPLE = Path(__file__).parent.parent.parent / "sample_data"
Layer = NDArray[np.uint8]


@dataclass(frozen=True)
class Source:
    """The source of the tiles."""

    tomogram: Path
    labels: Path
    folder: Path
    per_feature: bool
    """True if each feature has its own list of tiles."""

    def tiles(self, feature: str) -> Path:
        """Return the list of tiles of a feature."""
        return self.folder / (f"tiles_train1_{feature}.csv" if self.per_feature else "tiles.csv")


def source_of(data: Path | None) -> Source:
    """Return the data to measure on: `train1` of a folder, or the sample data."""
    if data is None:
        return Source(SAMPLE / "cell_a.mrc", SAMPLE / "cell_a_labels.mrc.gz", SAMPLE, per_feature=False)
    return Source(data / "train1.mrc", data / "train1_labels.mrc.gz", data, per_feature=True)


# Spoiling


def shifted(layer: Layer, dy: int, dx: int) -> Layer:
    """Move a layer within its frame."""
    height, width = layer.shape
    moved = np.full_like(layer, NOT_FEATURE)
    moved[max(dy, 0) : height + min(dy, 0), max(dx, 0) : width + min(dx, 0)] = layer[
        max(-dy, 0) : height + min(-dy, 0), max(-dx, 0) : width + min(-dx, 0)
    ]
    return moved


def shifted_by_chance(layer: Layer, rng: np.random.Generator) -> Layer:
    """Move a mask by 12 pixels along an axis, to the side where more of it stays in the tile."""
    way = SHIFT_PIXELS * rng.permutation([1, 0])
    return max((shifted(layer, *(sign * way)) for sign in (1, -1)), key=lambda one: int((one == FEATURE).sum()))


def emptied(layer: Layer) -> Layer:
    """Remove the feature from a layer."""
    return np.where(layer == FEATURE, np.uint8(NOT_FEATURE), layer)


def spoil(
    signs: NDArray[np.int8], layers: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.int8], NDArray[np.uint8], dict[int, str]]:
    """Corrupt a tenth of the tiles.

    Parameters
    ----------
    signs : ndarray of int8, shape (n,)
        1 positive, -1 negative.
    layers : ndarray of uint8, shape (n, y, x)
    rng : numpy.random.Generator

    Returns
    -------
    signs, layers : ndarray
        New arrays; the arguments are not changed.
    spoilt : dict of int to str
        The kind of corruption by tile.
    """
    signs, layers = signs.copy(), layers.copy()
    marked = (signs > 0) & (layers == FEATURE).any(axis=(1, 2))
    positives, negatives = (
        list(rng.permutation(np.flatnonzero(marked))),
        list(rng.permutation(np.flatnonzero(signs < 0))),
    )
    spoilt: dict[int, str] = {}
    for turn in range(len(signs) * SPOILT_PERCENT // 100):
        kind = ("emptied", "shifted", "swapped to negative", "emptied", "shifted", "swapped to positive")[turn % 6]
        tile = int((negatives if kind == "swapped to positive" else positives).pop())
        if kind == "swapped to positive":
            layers[tile], signs[tile] = layers[rng.choice(positives)], 1
        elif kind == "shifted":
            layers[tile] = shifted_by_chance(layers[tile], rng)
        else:
            layers[tile] = emptied(layers[tile])
            signs[tile] = 1 if kind == "emptied" else -1
        spoilt[tile] = kind
    return signs, layers, spoilt


def write_spoilt_set(clean: Path, target: Path, rng: np.random.Generator) -> dict[str, str]:
    """Write a corrupted copy of a training set of one feature; return the kinds of corruption by tile id."""
    summary, tiles = read_training_set(clean)
    signs = np.array([tile.metadata.signs[0] for tile in tiles], np.int8)
    signs, layers, spoilt = spoil(signs, np.stack([tile.layers[0] for tile in tiles]), rng)
    changed = [
        TrainsetTile(
            msgspec.structs.replace(tile.metadata, signs=(int(sign),)), tile.densities, tile.inside, layer[np.newaxis]
        )
        for tile, sign, layer in zip(tiles, signs, layers, strict=True)
    ]
    write_training_set(target, summary, changed)
    return {tiles[number].metadata.id: kind for number, kind in spoilt.items()}


# Auditing


def tomoseg(folder: Path, *arguments: str) -> str:
    """Run a command in a folder; return its output."""
    command = [sys.executable, "-m", "tomoseg_tui", *arguments]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{chr(32).join(arguments)} in {folder} has failed:\n{done.stderr}")
    return done.stdout


def write_tiles(source: Source, feature: str, path: Path) -> None:
    """Write a list of the tiles of one feature."""
    with source.tiles(feature).open(newline="") as listed, path.open("w", newline="") as out:
        rows = csv.DictReader(listed)
        writer = csv.DictWriter(out, rows.fieldnames or [])
        writer.writeheader()
        writer.writerows(row for row in rows if row["feature"] == feature)


def make_spoilt_project(source: Source, feature: str, seed: int, folder: Path) -> None:
    """Make a project with a training set `spoilt`; ``spoilt.json``, written last, lists the corruptions."""
    if (folder / "spoilt.json").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_tiles(source, feature, folder / "tiles.csv")
    tomoseg(folder, "init", "project")
    project = folder / "project"
    tomoseg(project, "import", str(source.tomogram.absolute()), "--link")
    tomoseg(project, "tiles", "import", "../tiles.csv")
    tomogram, number = source.tomogram.stem, LABELS[feature]
    arguments = ["--tomogram", tomogram, "--map", f"{number}={feature}"]
    tomoseg(project, "annotations", "import", str(source.labels.absolute()), *arguments)
    tomoseg(project, "trainset", "build", "clean", "--feature", feature)
    sets = project / "trainsets"
    rng = np.random.default_rng([seed, number])
    spoilt = write_spoilt_set(sets / "clean.h5", sets / "spoilt.h5", rng)
    (folder / "spoilt.json").write_text(json.dumps(spoilt, indent=2))


def audited(project: Path, seed: int) -> list[dict[str, Any]]:
    """Return the ranked tiles of the audit; start or resume it if it is not done."""
    jobs = json.loads(tomoseg(project, "jobs", "--json"))
    if not jobs:
        tomoseg(project, "audit", "--trainset", "spoilt", "--name", "found", "--seed", str(seed), "--json")
    elif jobs[0]["state"] not in {"done", "running", "queued"}:
        tomoseg(project, "jobs", "resume", jobs[0]["id"])
    try:
        while (job := json.loads(tomoseg(project, "jobs", "--json"))[0])["state"] in {"queued", "running"}:
            time.sleep(1)
    except (KeyboardInterrupt, SystemExit) as stopped:
        tomoseg(project, "jobs", "stop", "1")  # it has its own session and would continue
        raise SystemExit("Stopped; the same command continues it.") from stopped
    if job["state"] != "done":
        raise SystemExit(f"The audit in {project} is {job['state']}: {job['fault'] or 'the same command continues it'}")
    ranked: list[dict[str, Any]] = json.loads(tomoseg(project, "audits", "show", "found", "--json"))
    return ranked


def measure(source: Source, feature: str, seed: int, folder: Path) -> dict[str, Any]:
    """Return the result of one audit, read from its file if it exists."""
    path = folder / "result.json"
    if not path.exists():
        make_spoilt_project(source, feature, seed, folder)
        began = time.monotonic()
        ranked = audited(folder / "project", seed)
        spoilt = json.loads((folder / "spoilt.json").read_text())
        places = {
            kind + " " + tile: row["rank"] for row in ranked for tile, kind in spoilt.items() if tile == row["tile"]
        }
        first = round(len(ranked) * FIRST_PERCENT / 100)
        result = {
            "tiles": len(ranked),
            "first": first,
            "places": places,
            "share": sum(place <= first for place in places.values()) / len(places),
            "seconds": round(time.monotonic() - began),  # of the last attempt only, if it was resumed
        }
        draft = folder / ".result.json"
        draft.write_text(json.dumps(result, indent=2))
        draft.replace(path)
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def results(source: Source, work: Path, seeds: int, features: list[str]) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yield feature, seed and result of each audit."""
    for seed in range(seeds):
        for feature in features:
            yield feature, seed, measure(source, feature, seed, work / f"{feature}_{seed}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with train1.mrc, its labels and lists of tiles")
    parser.add_argument("--work", type=Path, help="folder in which projects and results are kept")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--feature", action="append", choices=tuple(LABELS), help="only this one; may be repeated")
    arguments = parser.parse_args()
    source = source_of(arguments.data)
    kept = arguments.work or Path(tempfile.gettempdir()) / f"tomoseg-bench-audit-{getpass.getuser()}"
    work = kept_folder(kept, source.tomogram)
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}; {source.tomogram.name}; kept in {work}")
    shares: dict[str, list[float]] = {}
    for feature, seed, result in results(source, work, arguments.seeds, arguments.feature or list(LABELS)):
        shares.setdefault(feature, []).append(result["share"])
        places = ", ".join(str(place) for place in sorted(result["places"].values()))
        print(
            f"{feature:12} seed {seed}  {result['share']:.2f} of the spoilt tiles in the first {result['first']} of "
            f"{result['tiles']}; their ranks are {places}; {result['seconds']} s",
            flush=True,
        )
    for feature, found in shares.items():
        print(f"{feature:12} mean of {len(found)} seeds  {statistics.mean(found):.2f}   (wanted {WANTED})")


if __name__ == "__main__":
    main()
