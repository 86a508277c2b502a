"""`make bench DATA=DIR`: our default network, `eman2` and a U-Net of the size of Ais' UNet S on the same tiles.

DIR holds train1.mrc, test1.mrc, their *_labels.mrc.gz and tiles_train1_FEATURE.csv. All is done through the
commands, in one project a feature, with the versions that `preprocess` makes; what is scored is every fourth slice
of test1, at the card's threshold (UNet S: 0.5). On two quiet cores the whole of it takes about two hours, 20
minutes of them for each feature of `quality` (ours 3, eman2 8, UNet S 9). Parts, each asked for with PARTS=:

quality     Dice, seconds of training and peak memory of the three networks, FEATURES= one by one; the peak is that of
            an apply worker, UNet S's that of its one process for training and applying
speed       seconds a slice of the three, by turns, and the share of the machine's matrix products: 2 minutes
shifts      Dice of ours where test1 is noised, blurred, bent in contrast, or its wedge narrower: 1 minute a feature
together    all FEATURES= in one network, against one each: Dice, and by turns training and applying: 12 minutes
memory      peak of an apply worker on 512 x 1024 x 1024 and 1000 x 4096 x 4096 above cell_b's: 5 minutes

Results are stored in WORK= (bench_work by default) with results.json, separately for each DATA, EPOCHS and state of the
code: the same command continues a stopped benchmark and prints the tables again. EPOCHS= trains for fewer epochs, to
try the benchmark itself.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from chain import FILLED, LARGE_ZYX, MEGABYTE, jobs_by_kind, tomoseg, write_large_tomogram
from keeping import kept_folder
from shifts import SHIFTS

from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.core.metrics import Confusion, confusion
from tomoseg_tui.core.network_settings import EMAN2_NETWORK, network_named
from tomoseg_tui.files.atomic import write_atomically
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.io.mrc import MrcWriter
from tomoseg_tui.project.layout import ProjectLayout, sidecar_of
from tomoseg_tui.project.records import MapSidecar, read_record

LABELS = {"microtubule": 1, "membrane": 2, "ribosome": 3, "carbon": 5}
"""Numbers of the features in the label volumes."""
PARTS = ("quality", "speed", "shifts", "together", "memory")
OURS, PEER, TOGETHER = "default", "unet_s", "together"
SPEED_HEADING = (
    "network", "kFLOP a voxel", "ms a slice", "times eman2", "of matrix product",
    "CPU ms", "times eman2", "of matrix product",
)  # fmt: skip
"""Wall and CPU times; on a busy machine CPU times are more reliable."""
EVERY = 4
"""Distance of scored slices."""
TEST, TRAIN = "test1", "train1"
VERSION = "preproc"
SAMPLE = Path(__file__).parents[2] / "sample_data" / "cell_b.mrc"
MIDDLE_ZYX = (512, 1024, 1024)
MIDDLE_Z, LARGE_Z = "248:264", "496:512"


@dataclass(frozen=True)
class Bench:
    """Folders of data and results, and the requested parts."""

    data: Path
    work: Path
    features: tuple[str, ...]
    epochs: int | None

    def project(self, name: str) -> Path:
        """Return the folder of a project."""
        return self.work / name

    def kept(self, key: str, make: Callable[[], Any]) -> Any:
        """Return a result, made now if it was not made before."""
        path = self.work / "results.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        if key not in known:
            print(f"... {key}", file=sys.stderr, flush=True)
            known[key] = make()
            write_atomically(path, json.dumps(known, indent=1))
        return known[key]

    @property
    def epoch_words(self) -> list[str]:
        """Options of `train`."""
        return [] if self.epochs is None else ["--epochs", str(self.epochs)]


def bench_of(data: Path, work: Path, features: tuple[str, ...], epochs: int | None) -> Bench:
    """Return a benchmark whose results are only for this data, number of epochs and code."""
    asked = [] if epochs is None else [f"{epochs}epochs"]
    return Bench(data, kept_folder(work, data, *asked), features, epochs)


def child(script: str, *arguments: object) -> str:
    """Run a script of this folder; return its output."""
    command = [sys.executable, str(Path(__file__).with_name(script)), *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def make_project(bench: Bench, name: str, features: Sequence[str]) -> None:
    """Make a project whose tiles are annotated only for the feature that they were placed for."""
    folder = bench.project(name)
    shutil.rmtree(folder, ignore_errors=True)
    tomoseg(bench.work, "init", name)
    tomoseg(folder, "import", *(str(bench.data / f"{one}.mrc") for one in (TRAIN, TEST)), "--link")
    tomoseg(folder, "preprocess", TRAIN, TEST, "--tag", VERSION, "--wait")
    with open_volume(bench.data / f"{TRAIN}_labels.mrc.gz") as volume:
        labels = volume.read_slices(0, volume.grid.shape_zyx[0])
    for feature in features:
        tomoseg(folder, "tiles", "import", str(bench.data / f"tiles_{TRAIN}_{feature}.csv"))
        tiles = [tile for tile in json.loads(tomoseg(folder, "tiles", "list", "--json")) if _is_placed(tile, feature)]
        masks = np.stack([_mask(labels == LABELS[feature], tile) for tile in tiles])
        stack = bench.work / f"masks_{feature}.mrc"
        with MrcWriter(stack, VoxelGrid(masks.shape, 13.6), np.int8) as out:
            out.write_slices(0, masks)
        ids = [tile["id"] for tile in tiles]
        tomoseg(folder, "annotations", "import", str(stack), "--feature", feature, "--tiles", *ids)


def _is_placed(tile: dict[str, Any], feature: str) -> bool:
    return str(tile["features"].get(feature, "none here")) == "wanted"


def _mask(truth: Any, tile: dict[str, Any]) -> Any:
    half = tile["size"] // 2
    rows, columns = (slice(tile[axis] - half, tile[axis] + half) for axis in ("y", "x"))
    return truth[tile["z"], rows, columns].astype(np.int8)


def train_and_apply(bench: Bench, name: str, run: str, features: Sequence[str]) -> dict[str, Any]:
    """Train a network and apply it to all of the test tomogram; return seconds, memory and Dice by feature."""
    folder = bench.project(name)
    shutil.rmtree(ProjectLayout(folder).network_folder(run), ignore_errors=True)
    asked = [word for feature in features for word in ("--feature", feature)]
    network = EMAN2_NETWORK if run == EMAN2_NETWORK else OURS
    arguments = ["--name", run, "--network", network, "--version", VERSION, *bench.epoch_words]
    tomoseg(folder, "train", *asked, *arguments, "--wait")
    tomoseg(folder, "apply", run, f"{TEST}__{VERSION}", "--wait")
    jobs = jobs_by_kind(folder)
    return {
        "train_s": _seconds(jobs["train"][0]),
        "peak_mb": jobs["apply"][0]["peak_memory_bytes"] / MEGABYTE,
        "dice": {feature: dice_of_run(bench, name, run, feature, f"{TEST}__{VERSION}") for feature in features},
    }


def _seconds(job: dict[str, Any]) -> float:
    began, ended = (datetime.fromisoformat(job[name]) for name in ("started", "ended"))
    return (ended - began).total_seconds()


def dice_of_run(bench: Bench, name: str, run: str, feature: str, tomogram: str) -> float:
    """Return the Dice of a map in a project at its card's threshold."""
    path = ProjectLayout(bench.project(name)).map_file(tomogram, run, feature)
    return dice(bench, path, feature, read_record(sidecar_of(path), MapSidecar).threshold)


def dice(bench: Bench, path: Path, feature: str, threshold: float) -> float:
    """Return the Dice of every fourth slice of a map."""
    counts = Confusion(0, 0, 0)
    with open_volume(path) as found, open_volume(bench.data / f"{TEST}_labels.mrc.gz") as truth:
        for z in range(0, found.grid.shape_zyx[0], EVERY):
            above = found.read_slices(z, z + 1) > threshold * 127
            counts += confusion(above, truth.read_slices(z, z + 1) == LABELS[feature])
    return counts.dice


def train_peer(bench: Bench, feature: str) -> dict[str, Any]:
    """Train the U-Net of the size of UNet S; return seconds and Dice."""
    folder, out = bench.project(feature), bench.work / f"{PEER}_{feature}"
    trainset = ProjectLayout(folder).network_trainset(OURS)
    tomogram = ProjectLayout(folder).tomogram_folder(f"{TEST}__{VERSION}") / f"{TEST}__{VERSION}.mrc"
    child("unet_s.py", trainset, tomogram, out, *bench.epoch_words)
    found = json.loads(out.with_suffix(".json").read_text())
    return {**found, "dice": {feature: dice(bench, out.with_suffix(".mrc"), feature, 0.5)}}


def quality(bench: Bench) -> list[tuple[str, ...]]:
    """Train all networks for each feature."""
    rows: list[tuple[str, ...]] = [("feature", "network", "Dice", "training s", "peak MB")]
    for feature in bench.features:
        for run in (OURS, EMAN2_NETWORK, PEER):
            found = quality_of(bench, feature, run)
            figures = (f"{found['dice'][feature]:.3f}", f"{found['train_s']:.0f}", f"{found['peak_mb']:.0f}")
            rows.append((feature, run, *figures))
    return rows


def quality_of(bench: Bench, feature: str, run: str) -> dict[str, Any]:
    """Return the results of one network on one feature."""
    bench.kept(f"project/{feature}", lambda: make_project(bench, feature, [feature]))
    if run == PEER:
        quality_of(bench, feature, OURS)  # it is trained on that run's tiles
        return dict(bench.kept(f"{feature}/{PEER}", lambda: train_peer(bench, feature)))
    return dict(bench.kept(f"{feature}/{run}", lambda: train_and_apply(bench, feature, run, [feature])))


def measured(bench: Bench, name: str, *runs: str) -> dict[str, Any]:
    """Time the runs of a project alternately."""
    return dict(json.loads(child("speed.py", bench.project(name), f"{TEST}__{VERSION}", *runs)))


def speed(bench: Bench) -> list[tuple[str, ...]]:
    """Time the networks alternately."""
    feature = bench.features[0]
    for run in (OURS, EMAN2_NETWORK):
        quality_of(bench, feature, run)
    found = bench.kept(f"speed/{feature}", lambda: measured(bench, feature, OURS, EMAN2_NETWORK))
    slow = found["networks"][EMAN2_NETWORK]
    rows: list[tuple[str, ...]] = [SPEED_HEADING]
    for run, one in found["networks"].items():
        wall, cpu = one["s_per_slice"], one["cpu_s_per_slice"]
        on_clock = (f"{1000 * wall:.0f}", f"{slow['s_per_slice'] / wall:.1f}", f"{one['share']:.0%}")
        of_threads = (f"{1000 * cpu:.0f}", f"{slow['cpu_s_per_slice'] / cpu:.1f}", f"{one['cpu_share']:.0%}")
        rows.append((run, f"{one['kflop']:.1f}", *on_clock, *of_threads))
    return [*rows, ("matrix product", "", f"{found['matrix_flops'] / 1e9:.0f} GFLOP/s", *[""] * 5)]


def shifted(bench: Bench, feature: str, shift: str) -> float:
    """Apply our network to a shifted test tomogram; return the Dice."""
    folder, name = bench.project(feature), f"{TEST}_{shift}"
    path = bench.work / f"{name}.mrc"
    with open_volume(bench.data / f"{TEST}.mrc") as volume:
        densities, grid = volume.read_slices(0, volume.grid.shape_zyx[0]).astype(np.float32), volume.grid
    with MrcWriter(path, grid, np.float32) as out:
        out.write_slices(0, SHIFTS[shift](densities))
    known = {one["name"] for one in json.loads(tomoseg(folder, "tomograms", "--json"))}
    if name not in known:
        tomoseg(folder, "import", str(path), "--polarity", "dark")
    if f"{name}__{VERSION}" not in known:
        tomoseg(folder, "preprocess", name, "--tag", VERSION, "--wait")
    tomoseg(folder, "apply", OURS, f"{name}__{VERSION}", "--wait")
    return dice_of_run(bench, feature, OURS, feature, f"{name}__{VERSION}")


def shifts(bench: Bench) -> list[tuple[str, ...]]:
    """Score our network on test tomograms that differ from the training tomogram."""
    rows: list[tuple[str, ...]] = [("feature", "as it is", *SHIFTS)]
    for feature in bench.features:
        plain = quality_of(bench, feature, OURS)["dice"][feature]
        found = [bench.kept(f"{feature}/{shift}", partial(shifted, bench, feature, shift)) for shift in SHIFTS]
        rows.append((feature, *(f"{value:.3f}" for value in (plain, *found))))
    return rows


def together(bench: Bench) -> list[tuple[str, ...]]:
    """Train one network for all features, and compare it with one network per feature."""
    features = list(bench.features)
    single = {feature: quality_of(bench, feature, OURS) for feature in features}
    name = "_".join([TOGETHER, *features])
    bench.kept(f"project/{name}", lambda: make_project(bench, name, features))
    found = bench.kept(name, lambda: train_and_apply(bench, name, TOGETHER, features))
    timed = bench.kept(f"{name}/speed", lambda: compare_speed(bench, name, features[0]))["networks"]
    paces = bench.kept(f"{name}/pace", lambda: compare_pace(bench, name))
    train, cpu = (paces[TOGETHER][seconds] / paces[OURS][seconds] for seconds in ("train_s", "train_cpu_s"))
    apply = timed[TOGETHER]["s_per_slice"] / timed[OURS]["s_per_slice"]
    rows: list[tuple[str, ...]] = [("feature", "alone", TOGETHER, "difference")]
    for feature in features:
        one, all_of_them = single[feature]["dice"][feature], found["dice"][feature]
        rows.append((feature, f"{one:.3f}", f"{all_of_them:.3f}", f"{all_of_them - one:+.3f}"))
    rows += [("training, times one", "", f"{train:.2f}", ""), ("the same, CPU time", "", f"{cpu:.2f}", "")]
    return [*rows, ("apply, times one", "", f"{apply:.2f}", "")]


def compare_speed(bench: Bench, name: str, feature: str) -> dict[str, Any]:
    """Time the network for all features and that for one alternately, both in one project."""
    source, target = (ProjectLayout(bench.project(one)).network_folder(OURS) for one in (feature, name))
    shutil.copytree(source, target, dirs_exist_ok=True)
    return measured(bench, name, OURS, TOGETHER)


def compare_pace(bench: Bench, name: str) -> dict[str, Any]:
    """Time the trainings of both alternately, in the project of `compare_speed`."""
    return dict(json.loads(child("pace.py", bench.project(name), OURS, TOGETHER)))


def memory(bench: Bench) -> list[tuple[str, ...]]:
    """Measure the peak memory of an apply worker on volumes of several sizes."""
    feature = bench.features[0]
    quality_of(bench, feature, OURS)
    found = bench.kept(f"memory/{feature}", lambda: peaks(bench, bench.project(feature)))
    base = found["cell_b"]
    rows: list[tuple[str, ...]] = [("volume", "peak MB", "above cell_b")]
    return [*rows, *((name, f"{peak:.0f}", f"{peak - base:+.0f}") for name, peak in found.items())]


def peaks(bench: Bench, folder: Path) -> dict[str, float]:
    """Return the peak memory of a worker on the sample and on two sparse volumes, MB."""
    middle, large = bench.work / "middle.mrc", bench.work / "large.mrc"
    write_large_tomogram(middle, MIDDLE_ZYX, (240, 272))
    write_large_tomogram(large, LARGE_ZYX, FILLED)
    asked: dict[str, tuple[Path, list[str]]] = {
        "cell_b": (SAMPLE, []),
        "512x1024x1024": (middle, ["--z", MIDDLE_Z]),
        "1000x4096x4096": (large, ["--z", LARGE_Z]),
    }
    try:
        return {title: peak(folder, path, arguments) for title, (path, arguments) in asked.items()}
    finally:
        middle.unlink()
        large.unlink()


def peak(folder: Path, path: Path, arguments: Sequence[str]) -> float:
    """Return the peak memory of a worker that applies our network to a file, MB."""
    if path.stem not in (one["name"] for one in json.loads(tomoseg(folder, "tomograms", "--json"))):
        tomoseg(folder, "import", str(path), "--link")
    tomoseg(folder, "apply", OURS, path.stem, "--anyway", *arguments, "--wait")
    return float(jobs_by_kind(folder)["apply"][0]["peak_memory_bytes"] / MEGABYTE)


def print_table(title: str, rows: Sequence[tuple[str, ...]]) -> None:
    """Print rows under a title, the first as a heading."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    print(f"\n{title}")
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def main() -> None:
    """Run the requested parts and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--features", default=",".join(LABELS), help="divided by commas")
    parser.add_argument("--parts", default=",".join(PARTS), help="divided by commas")
    parser.add_argument("--work", type=Path, default=Path("bench_work"))
    parser.add_argument("--epochs", type=int)
    arguments = parser.parse_args()
    bench = bench_of(
        arguments.data.resolve(), arguments.work.resolve(), tuple(arguments.features.split(",")), arguments.epochs
    )
    bench.work.mkdir(parents=True, exist_ok=True)
    settings = network_named(OURS)
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}; {settings.description}; kept in {bench.work}")
    print(f"{settings.parameters(1)} parameters, {settings.flops_per_pixel(1) / 1000:.1f} kFLOP a voxel")
    makers = {"quality": quality, "speed": speed, "shifts": shifts, "together": together, "memory": memory}
    for part in arguments.parts.split(","):
        print_table(part, makers[part](bench))


if __name__ == "__main__":
    main()
