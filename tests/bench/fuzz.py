"""Mutate files of every format, and read each as the program does.

    python tests/bench/fuzz.py [--seconds N] [--seed N] [--only READER]

Anything but a value or a TomosegError is a finding, and so is a crash, 5 seconds for a file, or a gigabyte of memory.
The inputs that were found are left in a folder, which is named. Seeds are files that the program has written itself and
small valid files of other programs.
"""

import argparse
import gzip
import json
import os
import random
import resource
import select
import subprocess
import sys
import tempfile
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tifffile

sys.path.insert(0, str(Path(__file__).parents[1]))
from helpers.cli_runner import bring, make_card, noise, put_card, write_map, write_mrc
from helpers.paint_project import PLACE, painted, place_tiles_to_paint

from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.files import locks
from tomoseg_tui.io import eman2_hdf, eman2_info, png
from tomoseg_tui.io.coordinates import read_tile_rows
from tomoseg_tui.io.export_manifest import read_manifest
from tomoseg_tui.io.formats import open_stack, open_volume
from tomoseg_tui.io.trainset_file import read_tile_snapshots, read_training_set
from tomoseg_tui.io.triples_file import TripleSet, read_split, read_triples, write_triples
from tomoseg_tui.jobs.device_queue import read_ticket
from tomoseg_tui.jobs.job import Job, JobRecord
from tomoseg_tui.jobs.job_list import JobListCache
from tomoseg_tui.project import changes
from tomoseg_tui.project.annotation_files import load_tile, read_layer
from tomoseg_tui.project.catalog import Project, make_project
from tomoseg_tui.project.history import HistoryEntry, is_last_command
from tomoseg_tui.project.layout import sidecar_of
from tomoseg_tui.project.paint_locks import read_paint_lock_owner
from tomoseg_tui.project.project_settings import read_settings
from tomoseg_tui.project.records import (
    LabelSidecar,
    MapSidecar,
    NetworkCard,
    StateRecord,
    TomogramRecord,
    read_record,
    write_record,
)
from tomoseg_tui.project.timings import load_timings
from tomoseg_tui.project.user_config import read_config
from tomoseg_tui.tui.session import TuiSession, read_session, write_session
from tomoseg_tui.tui.train.runs import parse_epochs
from tomoseg_tui.workflow.annotations.import_annotations import set_done
from tomoseg_tui.workflow.job_interface import FinishedSlabs
from tomoseg_tui.workflow.training.trainset import TrainsetRequest, build_trainset

SECONDS_PER_INPUT = 5.0
MEMORY_BYTES = 1 << 30
Reader = Callable[[Path], object]


def read_volume(path: Path) -> None:
    """Open a volume and read its first and last slice."""
    with open_volume(path) as volume:
        volume.read_slices(0, 1)
        volume.read_slices(volume.grid.shape_zyx[0] - 1, volume.grid.shape_zyx[0])


def make_seeds(folder: Path) -> dict[str, tuple[Path, Reader]]:
    """Make one valid file for each reader, in its place."""
    project = make_project(folder / "project")
    bring(project, "cell", noise((8, 128, 128)))
    place_tiles_to_paint(project)
    painted(project, ("tube", 20, 2), ("tube", 40, 2), ("wall", 30, 1))
    set_done(project, PLACE, "tube")
    build_trainset(project, "set", TrainsetRequest(("tube",)))
    put_card(project, make_card("run"))
    map_path = write_map(project, "run.tube", noise((8, 128, 128)) & 127)
    layout = project.layout
    return {**_project_seeds(project, map_path), **_text_seeds(folder, layout.root), **_volume_seeds(folder)}


def _project_seeds(project: Project, map_path: Path) -> dict[str, tuple[Path, Reader]]:
    layout = project.layout
    job = Job(layout.job_folder("1"))
    job.partial.mkdir(parents=True)
    (job.record_file).write_text('{"kind": "train", "name": "run", "asked": {}, "state": "queued", "created": ""}')
    job.progress_file.write_text('{"done": 0.5, "message": "epoch", "epoch": 1, "epochs": 2}')
    slabs = FinishedSlabs(job.partial / "slabs.jsonl")
    slabs.add(0, counts=[1, 2])
    slabs.add(1, counts=[3, 4])
    labels = LabelSidecar(tomogram="cell", name="all", labels={}, conflicts=[])
    label_path = sidecar_of(layout.label_file("cell", "all"))
    write_record(label_path, labels)
    triples = layout.root / "triples.h5"
    zeros = np.zeros((2, 1, 8, 8), np.float32)
    write_triples(triples, TripleSet(("a", "b"), ("tube",), np.zeros(2, bool), zeros[:, 0], zeros.astype("u1"), zeros))
    layout.change.write_text('{"steps":[{"target":"a/b","source":"a/c"},{"target":"d","text":"e"}],"history":"{}"}')
    layout.history.write_text(HistoryEntry(["init", "."]).encode() + "\n")
    claim = layout.root / "claim.json"
    locks.acquire(claim, locks.this_process())
    layout.painting_claim(PLACE).write_bytes(claim.read_bytes())
    ticket = layout.root / "ticket.json"
    ticket.write_text(json.dumps({"owner": json.loads(claim.read_text()), "user": "a", "job": "1", "project": "p"}))

    def records(kind: type[Any]) -> Reader:
        return lambda path: read_record(path, kind)

    return {
        "tomogram record": (layout.tomogram_record("cell"), records(TomogramRecord)),
        "state": (layout.tile_state(PLACE, "tube"), records(StateRecord)),
        "card": (layout.network_card("run"), records(NetworkCard)),
        "map sidecar": (sidecar_of(map_path), records(MapSidecar)),
        "label sidecar": (label_path, records(LabelSidecar)),
        "job record": (job.record_file, records(JobRecord)),
        "job list": (job.record_file, lambda _path: JobListCache(layout).poll()),
        "job progress": (job.progress_file, lambda _path: (job.progress(), job.metrics(), job.result())),
        "slabs": (job.partial / "slabs.jsonl", lambda _path: slabs.read()),
        "settings": (layout.settings, read_settings),
        "layer": (layout.annotation(PLACE, "tube"), lambda _path: read_layer(layout, PLACE, "tube")),
        "stroke log": (layout.stroke_log(PLACE), lambda _path: load_tile(layout, PLACE, ["tube", "wall"]).undo_stack),
        "training set": (layout.trainset("set"), lambda path: (read_training_set(path), read_tile_snapshots(path))),
        "triples": (triples, lambda path: (read_triples(path), read_split(path))),
        "change": (layout.change, lambda _path: changes.begin_writing(layout)),
        "history": (layout.history, lambda path: is_last_command(path, HistoryEntry(["x"]), interrupted=True)),
        "claim": (claim, locks.owner_of),
        "paint lock": (layout.painting_claim(PLACE), lambda _path: read_paint_lock_owner(layout, PLACE)),
        "ticket": (ticket, read_ticket),
    }


def _text_seeds(folder: Path, root: Path) -> dict[str, tuple[Path, Reader]]:
    texts = {
        "config.toml": 'renderer = "ascii"\nmouse = true\non_finish = ["a"]\n[keys]\na = "b"\n[notice]\nosc = "9"\n',
        "paces.json": '{"a": {"start_seconds": 1.0, "unit_seconds": 0.1, "memory_bytes": 5}}',
        "metrics.jsonl": '{"epoch": 1, "training_loss": 0.5, "held_out_dice": {"tube": 0.5}, "best": true}\n',
        "tiles.csv": "tomogram,x,y,z,feature,kind\ncell,1,2,3,tube,positive\ncell,4,5,6,tube,negative\n",
        "cell_info.json": '{"apix_unbin": 2.0, "boxes_3d": [[1, 2, 3, "manual", 0.0, 0]], '
        '"class_list": {"0": {"name": "tube", "boxsize": 32}}, "curves": []}',
        ".eman2log.txt": "2020\tx\ty\te2tomoseg_preproc.py tomograms/a.hdf --proc1 filter.lowpass.gauss\n",
        "x.tomoseg.json": '{"format": 1, "tiles": []}',
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    session = folder / "sessions.json"
    write_session(session, root, TuiSession())
    return {
        "config": (folder / "config.toml", read_config),
        "timings": (folder / "paces.json", load_timings),
        "epochs": (folder / "metrics.jsonl", lambda path: parse_epochs(path.read_bytes())),
        "coordinates": (folder / "tiles.csv", read_tile_rows),
        "EMAN2 info": (folder / "cell_info.json", eman2_info.read_info),
        "EMAN2 log": (folder / ".eman2log.txt", eman2_info.read_commands),
        "manifest": (folder / "x.tomoseg.json", read_manifest),
        "session": (session, lambda path: read_session(path, root)),
    }


def _volume_seeds(folder: Path) -> dict[str, tuple[Path, Reader]]:
    values = noise((4, 64, 64))
    mrc = write_mrc(folder / "a.mrc", values)
    packed = folder / "a.mrc.gz"
    packed.write_bytes(gzip.compress(mrc.read_bytes(), mtime=0))
    plain, deflated, picture, hdf = (folder / name for name in ("a.tif", "b.tif", "a.png", "a.hdf"))
    tifffile.imwrite(plain, values, photometric="minisblack")
    tifffile.imwrite(deflated, values, photometric="minisblack", compression="zlib", metadata=None)
    picture.write_bytes(png.encode_png(np.repeat(values.view(np.uint8)[0, ..., None], 3, 2)))
    eman2_hdf.write_volume(hdf, [values.astype(np.float32)], VoxelGrid(values.shape, 10.0))
    h5py.File(hdf).close()
    return {
        "MRC": (mrc, read_volume),
        "gzip": (packed, read_volume),
        "TIFF": (plain, read_volume),
        "deflated TIFF": (deflated, read_volume),
        "TIFF stack": (deflated, open_stack),
        "PNG": (picture, lambda path: png.read_png(path, colours=True)),
        "EMAN2 volume": (hdf, read_volume),
    }


# Mutations

_WORDS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 2**64 - 1)
_TEXTS = (
    b"", b"null", b"-1", b"1e999", b"NaN", b"9" * 5000, b'"\\ud800"', b"[]", b"{}", b"[" * 20_000, b'{"a":' * 20_000,
    b"\xff\xfe", b"\x00", b"\n", b'"', b"../", b"'" * 3000, b"true", b"[[1,2],[3]]", b"a = " + b"[" * 9000,
)  # fmt: skip


def mutated(content: bytes, rng: random.Random) -> bytes:
    """Return a content with one to four changes."""
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(data) + 1)
        span = rng.choice((1, 2, 8, 64, 512))
        kind = rng.randrange(8)
        if kind == 0:
            del data[at:]
        elif kind == 1:
            del data[at : at + span]
        elif kind == 2:
            data[at:at] = data[at : at + span] * rng.choice((1, 2, 50))
        elif kind == 3:
            data[at : at + rng.choice((0, span))] = rng.choice(_TEXTS)
        elif kind in {4, 5}:
            width = rng.choice((1, 2, 4, 8))
            word = rng.choice(_WORDS) & (256**width - 1)
            data[at : at + width] = word.to_bytes(width, rng.choice(("little", "big")))
        else:
            for _ in range(rng.choice((1, 3, 20))):
                if data:
                    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def with_checksums(log: bytes) -> bytes:
    """Return a stroke log whose lines have the checksums of their changed bodies."""
    lines = []
    for line in log.splitlines(keepends=True):
        body = line[24:-2]
        lines.append(b'{"sum":"%08x","line":%s}\n' % (zlib.crc32(body), body))
    return b"".join(lines)


# The process that reads


def _serve(folder: Path, only: str, seed: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (4 * MEMORY_BYTES, 4 * MEMORY_BYTES))
    seeds = {name: entry for name, entry in make_seeds(folder).items() if only in {"", name}}
    contents = {name: path.read_bytes() for name, (path, _) in seeds.items()}
    rng = random.Random(seed)  # no secret
    while True:
        name = rng.choice(list(seeds))
        path, read = seeds[name]
        content = mutated(contents[name], rng)
        if name == "stroke log" and rng.random() < 0.7:
            content = with_checksums(content)
        path.write_bytes(content)
        (folder / "input").write_bytes(content)
        print(json.dumps(["begin", name]), flush=True)
        problem = _problem(read, path)
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > 2 * MEMORY_BYTES:
            problem = problem or "memory above 1 GB"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(contents[name])
        print(json.dumps(["end", problem]), flush=True)
        if problem.startswith("memory"):
            return


def _problem(read: Reader, path: Path) -> str:
    try:
        read(path)
    except TomosegError:
        return ""
    except OSError as fault:  # the commands report it with its number
        return "" if fault.errno else repr(fault)
    except BaseException as fault:  # noqa: BLE001  # everything else is a finding
        frame = traceback.extract_tb(fault.__traceback__)[-1]
        ours = [one for one in traceback.extract_tb(fault.__traceback__) if "tomoseg_tui" in one.filename][-1:]
        return f"{type(fault).__name__} at {Path((ours or [frame])[0].filename).name}:{(ours or [frame])[0].lineno}"
    return ""


def fuzz(seconds: float, *, seed: int, only: str = "") -> tuple[Counter[str], Counter[str], Path]:
    """Read mutated files for some time; return the number of inputs by reader, the findings, and their folder."""
    found_folder = Path(tempfile.mkdtemp(prefix="tomoseg-fuzz-"))
    inputs, findings, deadline = Counter[str](), Counter[str](), time.monotonic() + seconds
    while time.monotonic() < deadline:
        with tempfile.TemporaryDirectory() as scratch:
            command = [sys.executable, __file__, "--serve", scratch, "--seed", str(seed), "--only", only]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            assert process.stdout is not None
            lines, is_going_on = _Lines(process.stdout.fileno()), True
            while is_going_on:
                name, problem = _next(process, lines, deadline)
                is_going_on = bool(name) and not problem.startswith(("no answer", "the process", "memory"))
                inputs.update([name] if name else [])
                if problem:
                    finding = f"{name}: {problem}"
                    findings[finding] += 1
                    if findings[finding] == 1:
                        target = found_folder / f"{len(findings):03d}"
                        target.write_bytes((Path(scratch) / "input").read_bytes())
            process.kill()
            process.communicate()
        seed += 1
    return inputs, findings, found_folder


class _Lines:
    """Reads the answers of the process, without a buffer that would hide from `select` what has arrived."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._text = descriptor, b""

    def read(self, seconds: float) -> list[str] | None:
        """Return the next answer; None if the process has ended. Raise TimeoutError if it takes longer."""
        while b"\n" not in self._text:
            if not select.select([self._descriptor], [], [], seconds)[0]:
                raise TimeoutError
            arrived = os.read(self._descriptor, 65536)
            if not arrived:
                return None
            self._text += arrived
        line, _, self._text = self._text.partition(b"\n")
        answer: list[str] = json.loads(line)
        return answer


def _next(process: "subprocess.Popen[bytes]", lines: _Lines, deadline: float) -> tuple[str, str]:
    """Return the next reader and its problem; an empty name when the process has ended or the time is over."""
    begun = lines.read(60.0)
    if begun is None or time.monotonic() > deadline:
        return "", ""
    try:
        ended = lines.read(SECONDS_PER_INPUT)
    except TimeoutError:
        return begun[1], f"no answer within {SECONDS_PER_INPUT:g} s"
    return begun[1], ended[1] if ended is not None else f"the process crashed ({process.wait()})"


def main() -> None:
    """Fuzz as the arguments say; print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", default="")
    parser.add_argument("--serve", type=Path)
    arguments = parser.parse_args()
    if arguments.serve is not None:
        _serve(arguments.serve, arguments.only, arguments.seed)
        return
    inputs, findings, folder = fuzz(arguments.seconds, seed=arguments.seed, only=arguments.only)
    for name, count in sorted(inputs.items()):
        print(f"{name:20} {count:9,}")
    print(f"{'all':20} {inputs.total():9,}, seed {arguments.seed}, {findings.total()} findings in {folder}")
    for finding, count in findings.most_common():
        print(f"{count:6} x {finding}")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
