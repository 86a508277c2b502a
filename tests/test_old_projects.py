"""A project that an earlier program has left behind: it opens, says what it said, and work in it goes on.

`golden/project_0_2.tar.xz` was made by the code of commit efa9ae0 on a machine called "laboratory": a network with maps
and labels, strokes of which one was taken back, a tile whose painter died, a training that was stopped, and a job whose
worker was killed while it waited in line. `expected.json` in it is what that program said of it. It is never made anew.
"""

import hashlib
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.cli_runner import Tomoseg, digest_of

from tomoseg_tui.core.paint_tools import brush_mask
from tomoseg_tui.core.tiles import parse_tile_id
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.annotations.paint_session import PaintSession

LISTS: dict[str, tuple[str, ...]] = {
    "tomograms": ("tomograms",),
    "features": ("features",),
    "tiles": ("tiles", "list"),
    "annotations": ("annotations", "list"),
    "trainsets": ("trainset", "list"),
    "networks": ("networks",),
    "card": ("networks", "show", "tubes"),
    "audits": ("audits",),
    "audit": ("audits", "show", "doubts"),
    "jobs": ("jobs",),
}
WORDS = {"message", "fault", "fix", "reason", "reasons", "waits_for", "notes"}
"""Keys that hold sentences: these may be said better one day."""


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder as it was packed, files as old as they were; never worked in."""
    folder = tmp_path_factory.mktemp("kept")
    with tarfile.open(Path(__file__).parent / "golden" / "project_0_2.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder / "project_0_2"


@pytest.fixture
def root(kept: Path, tmp_path: Path) -> Path:
    """A copy of the project for one test; it lies elsewhere than where it was made."""
    shutil.copytree(kept / "project", tmp_path / "moved")
    return tmp_path / "moved"


@pytest.fixture
def tomoseg(root: Path) -> Tomoseg:
    """The program, run in the old project."""
    return Tomoseg(root)


@pytest.fixture
def expected(kept: Path) -> Any:
    """What the program that made it has said."""
    return json.loads((kept / "expected.json").read_text())


def without_words(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_words(one) for key, one in value.items() if key not in WORDS}
    return [without_words(one) for one in value] if isinstance(value, list) else value


def as_far_as(known: Any, found: Any) -> Any:
    """Return what was found without the keys that nobody knew of then."""
    if isinstance(known, dict) and isinstance(found, dict):
        return {key: as_far_as(known[key], one) for key, one in found.items() if key in known}
    if isinstance(known, list) and isinstance(found, list) and len(known) == len(found):
        return [as_far_as(*pair) for pair in zip(known, found, strict=True)]
    return found


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sums(painting: PaintSession) -> dict[str, str]:
    return {name: hashlib.sha256(layer.tobytes()).hexdigest() for name, layer in painting.layers.items()}


def job(tomoseg: Tomoseg, number: str) -> Any:
    return tomoseg("jobs", "show", number, "--json").json


def opened(root: Path, tile: str) -> PaintSession:
    return PaintSession.open(Project.open(root), parse_tile_id(tile))


def differing(before: Path, after: Path) -> str:
    """Say by how much two volumes of bytes differ, for whoever reads a failed test."""
    one, other = (np.frombuffer(path.read_bytes(), np.int8)[1024:].astype(int) for path in (before, after))
    if one.shape != other.shape:
        return f"{one.size} bytes before, {other.size} now"
    return f"{np.count_nonzero(one != other)} of {one.size} voxels differ, by {np.abs(one - other).max()} at most"


# What it says


@pytest.mark.parametrize("name", LISTS)
def test_every_list_says_what_it_said(tomoseg: Tomoseg, expected: Any, name: str) -> None:
    before = digest_of(tomoseg.folder)
    known = without_words(expected["lists"][name])
    found = without_words(tomoseg(*LISTS[name], "--json").json)
    assert as_far_as(known, found) == known
    assert digest_of(tomoseg.folder) == before, "looking changes nothing"


def test_its_states_are_those_that_people_remember(tomoseg: Tomoseg) -> None:
    """As literals, so that they can be read here: of tiles, of jobs and of a network."""
    tiles = {row["id"]: row["features"] for row in tomoseg("tiles", "list", "--json").json}
    assert len(tiles) == 12
    assert tiles["lamella:88,40,9:64"] == {"membrane": "annotated", "microtubule": "annotated"}
    assert tiles["lamella:30,100,2:64"] == {"microtubule": "none here"}
    assert tiles["lamella:100,30,21:64"] == {"*": "none here"}
    assert tiles["lamella:64,80,12:64"] == {"membrane": "wanted", "microtubule": "annotated"}
    assert tiles["second:48,48,6:64"] == {"microtubule": "wanted"}
    assert "second:40,50,3:64" not in tiles, "it is in the trash"
    jobs = {row["id"]: (row["kind"], row["state"]) for row in tomoseg("jobs", "--json").json}
    assert jobs == {
        "1": ("preprocess", "done"), "2": ("train", "done"), "3": ("apply", "done"), "4": ("apply", "done"),
        "5": ("merge", "done"), "6": ("audit", "done"), "7": ("train", "stopped"), "8": ("apply", "lost"),
    }  # fmt: skip
    networks = {row["name"]: (row["network"], list(row["features"])) for row in tomoseg("networks", "--json").json}
    both = ["microtubule", "membrane"]
    assert networks == {"tubes": ("unet25d", both), "longer": ("unet25d", both)}
    tomograms = {row["name"]: (row["shape_zyx"], row["maps"]) for row in tomoseg("tomograms", "--json").json}
    assert tomograms == {"lamella": ([24, 128, 128], 1), "second": ([12, 96, 96], 2), "second__bin2": ([6, 48, 48], 0)}


def test_its_pictures_can_be_drawn_and_its_volumes_exported(tomoseg: Tomoseg, tmp_path: Path) -> None:
    before = digest_of(tomoseg.folder)
    tomoseg("show", "second", "--labels", "second/merged", "-o", tmp_path / "labels.png")
    tomoseg("show", "lamella/tubes.membrane", "--z", 7, "-o", tmp_path / "map.png")
    tomoseg("tiles", "show", "lamella:64,80,12:64", "-o", tmp_path / "tile.png")
    tomoseg("networks", "triples", "tubes", "-o", tmp_path / "triples.png")
    tomoseg("networks", "triples", "longer", "-o", tmp_path / "longer.hdf")
    tomoseg("audits", "show", "doubts", "-o", tmp_path / "doubts.png")
    tomoseg("export", "second/merged", "-o", tmp_path / "labels.mrc")
    tomoseg("jobs", "log", 7)
    assert len(list(tmp_path.glob("*.*"))) == 7
    assert digest_of(tomoseg.folder) == before


# Painting


def test_strokes_can_be_taken_back_to_the_first_and_done_again_to_the_last(
    root: Path, tomoseg: Tomoseg, expected: Any
) -> None:
    told = expected["painted"]
    seen, depth = told["layers"], told["depth"]
    with opened(root, told["tile"]) as painting:
        assert not painting.remarks
        assert {name: state and str(state) for name, state in painting.states.items()} == told["states"]
        assert (sums(painting), painting.undo_depth) == (seen[depth], depth)
        for earlier in reversed(seen[:depth]):
            assert painting.undo() is not None
            assert sums(painting) == earlier
        assert painting.undo_depth == 0
    with opened(root, told["tile"]) as painting:
        assert (sums(painting), painting.undo_depth) == (seen[0], 0)
        for later in seen[1:]:
            assert painting.redo() is not None
            assert sums(painting) == later
        assert painting.redo() is None
    rows = tomoseg("annotations", "list", "--json").json
    pixels = {row["feature"]: row["pixels"]["feature"] for row in rows if row["tile"] == told["tile"]}
    assert pixels == {"microtubule": 559, "membrane": 166 + 37}, "the dab of the stroke that was taken back is there"


def test_the_stroke_that_was_taken_back_is_gone_once_another_is_painted(root: Path, expected: Any) -> None:
    told = expected["painted"]
    with opened(root, told["tile"]) as painting:
        painting.stroke("membrane", brush_mask((64, 64), (32, 32), 3), 2, "brush")
        assert painting.redo() is None
    with opened(root, told["tile"]) as painting:
        assert painting.undo_depth == told["depth"] + 1
        assert painting.redo() is None
        painting.undo()
        assert sums(painting) == told["layers"][told["depth"]]


def test_a_tile_whose_painter_died_between_strokes_and_layer_loses_nothing(root: Path, expected: Any) -> None:
    told = expected["lagging"]
    with opened(root, told["tile"]) as painting:
        assert (sums(painting), painting.undo_depth) == (told["layers"], told["depth"])
        painting.stroke("membrane", brush_mask((64, 64), (32, 32), 3), 1, "brush")
    with opened(root, told["tile"]) as painting:
        painting.undo()
        assert sums(painting) == told["layers"]


# Jobs


@pytest.mark.slow
def test_a_training_that_was_stopped_goes_on_to_its_last_epoch(tomoseg: Tomoseg, expected: Any) -> None:
    told = expected["stopped"]
    before = (tomoseg.folder / "jobs" / told["job"] / "metrics.jsonl").read_bytes()
    assert job(tomoseg, told["job"])["state"] == "stopped"
    tomoseg("jobs", "resume", told["job"], "--wait")
    after = (tomoseg.folder / "jobs" / told["job"] / "metrics.jsonl").read_bytes()
    assert after.startswith(before)
    lines = [json.loads(line) for line in after.splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, told["epochs"] + 1))
    assert job(tomoseg, told["job"])["state"] == "done"
    card = tomoseg("networks", "show", told["run"], "--json").json
    assert (card["epochs_done"], card["epochs"]) == (told["epochs"], told["epochs"])
    assert sha(tomoseg.folder / "networks" / told["run"] / "best.weights.h5") == card["weights_digest"]
    assert not (tomoseg.folder / "networks" / told["run"] / "checkpoint.npz").exists()
    tomoseg("apply", told["run"], "second", "--z", "4:6", "--wait")


def test_a_job_whose_worker_died_in_line_can_be_killed(tomoseg: Tomoseg, expected: Any) -> None:
    number = expected["queued"]["job"]
    assert json.loads((tomoseg.folder / "jobs" / number / "record.json").read_text())["state"] == "queued"
    assert job(tomoseg, number)["state"] == "lost"
    tomoseg("jobs", "kill", number)
    assert job(tomoseg, number)["state"] == "stopped"


@pytest.mark.slow
def test_a_job_whose_worker_died_in_line_can_be_resumed(tomoseg: Tomoseg, kept: Path, expected: Any) -> None:
    number = expected["queued"]["job"]
    tomoseg("jobs", "resume", number, "--wait")
    assert job(tomoseg, number)["state"] == "done"
    for name, digest in expected["maps"].items():  # of the same network and settings: its slices are made again
        path = tomoseg.folder / "maps" / f"{name}.mrc"
        assert sha(path) == digest, differing(kept / "project" / "maps" / f"{name}.mrc", path)


# Networks, maps and labels


@pytest.mark.slow
def test_the_old_network_makes_the_same_maps(tomoseg: Tomoseg, kept: Path, expected: Any) -> None:
    shutil.rmtree(tomoseg.folder / "maps" / "second")
    tomoseg("apply", "tubes", "second", "--wait")
    for name, digest in expected["maps"].items():
        path = tomoseg.folder / "maps" / f"{name}.mrc"
        assert sha(path) == digest, differing(kept / "project" / "maps" / f"{name}.mrc", path)


def test_old_maps_are_merged_into_the_same_labels(tomoseg: Tomoseg, expected: Any) -> None:
    path = tomoseg.folder / "labels" / "second" / "merged.mrc"
    sidecar = json.loads(path.with_suffix(".json").read_text())
    shutil.rmtree(path.parent)
    maps = ("--map", "tubes:microtubule=card", "--map", "tubes:membrane=0.3")
    tomoseg("merge", "second", *maps, "--wait")
    assert sha(path) == expected["labels"]["second/merged"]
    now = json.loads(path.with_suffix(".json").read_text())
    assert (now["labels"], now["conflicts"]) == (sidecar["labels"], sidecar["conflicts"])


@pytest.mark.slow
@pytest.mark.parametrize("words", [("--trainset", "all"), ("--feature", "microtubule", "--feature", "membrane")])
def test_a_new_training_starts_from_the_old_network(tomoseg: Tomoseg, words: tuple[str, ...]) -> None:
    tomoseg("train", *words, "--from", "tubes", "--name", "onward", "--epochs", 1, "--batch", 2, "--wait")
    card = tomoseg("networks", "show", "onward", "--json").json
    assert (card["from"], card["epochs_done"], list(card["features"])) == ("tubes", 1, ["microtubule", "membrane"])


@pytest.mark.parametrize(
    "words",
    [
        ("tiles", "add", "lamella", "--at", "70,70,7", "--feature", "membrane"),
        ("features", "rename", "membrane", "bilayer"),
        ("tomograms", "rename", "second", "third"),
        ("annotations", "set", "lamella:64,80,12:64", "--feature", "membrane", "--done"),
        ("trainset", "build", "more", "--feature", "microtubule"),
        ("tiles", "remove", "lamella:88,40,9:64"),
    ],
    ids=lambda words: "_".join(words[:2]),
)
def test_it_can_be_changed_and_its_history_goes_on(tomoseg: Tomoseg, words: tuple[str, ...]) -> None:
    history = tomoseg.folder / "history.jsonl"
    before = history.read_bytes()
    tomoseg(*words)
    after = history.read_bytes()
    assert after.startswith(before)
    assert len(after.splitlines()) == len(before.splitlines()) + 1
    for name in ("tomograms", "tiles", "annotations", "networks"):
        tomoseg(*LISTS[name], "--json")
