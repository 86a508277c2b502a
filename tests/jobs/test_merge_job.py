"""The merge command, compared with a simple reference implementation."""

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from helpers.cli_runner import Tomoseg, wait_until
from helpers.job_project import GRID, SHAPE_ZYX, blocks_of, held_workers, hooked, make_map, read_volume
from numpy.typing import NDArray

from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.jobs.job import Job, JobState
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.layout import sidecar_of
from tomoseg_tui.workflow.merge.merge_request import merge_request

Map = NDArray[np.int8]


@pytest.fixture
def maps(tubes_project: Project) -> list[Map]:
    """Three maps; the second equals the first where that is 60 to 99, so that there are ties."""
    rng = np.random.default_rng(5)
    first, second, third = (rng.integers(0, 128, SHAPE_ZYX).astype(np.int8) for _ in range(3))
    second = np.where((first >= 60) & (first < 100), first, second)
    third[rng.random(SHAPE_ZYX) < 0.7] = 0
    for run, values in zip(("one", "two", "three"), (first, second, third), strict=True):
        make_map(tubes_project.layout, values, run=run, feature=f"f_{run}")
    return [first, second, third]


def by_hand(maps: list[Map], thresholds: list[float]) -> tuple[Map, list[dict[str, int]]]:
    """Return the expected labels and conflicts, from a table of values."""
    claims = np.stack(
        [
            np.where(one / 127 > t, (one / 127 - t) / (1 - t if t < 1 else 1), -1.0)
            for one, t in zip(maps, thresholds, strict=True)
        ]
    )
    greatest = claims.max(axis=0)
    winner = (greatest - claims < 1e-9).argmax(axis=0)  # the first of equal ones
    labels = np.where(greatest > 0, winner + 1, 0).astype(np.int8)
    conflicts = [
        {"winner": a, "loser": b, "voxels": int(((labels == a) & (claims[b - 1] > 0)).sum())}
        for a in range(1, len(maps) + 1)
        for b in range(1, len(maps) + 1)
        if a != b
    ]
    return labels, [conflict for conflict in conflicts if conflict["voxels"]]


def merge(tomoseg: Tomoseg, *choices: str, arguments: tuple[str, ...] = ()) -> Any:
    named = [word for choice in choices for word in ("--map", choice)]
    return tomoseg("merge", "tubes", *named, *arguments, "--wait", "--json").json


@pytest.mark.parametrize("thresholds", [[0.5, 0.5, 0.5], [0.3, 0.8, 63 / 127]])
def test_merging_matches_the_reference_for_every_voxel(
    maps: list[Map], thresholds: list[float], tomoseg: Tomoseg, tubes_project: Project
) -> None:
    result = merge(tomoseg, *[f"{run}={t!r}" for run, t in zip(("one", "two", "three"), thresholds, strict=True)])
    labels, conflicts = by_hand(maps, thresholds)
    path = tubes_project.layout.label_file("tubes", "merged")
    assert result["file"] == str(path)
    np.testing.assert_array_equal(read_volume(path), labels)
    assert sorted(result["conflicts"], key=json.dumps) == sorted(conflicts, key=json.dumps)
    assert result["labels"] == {
        str(k): {"feature": f"f_{run}", "run": run, "threshold": t, "voxels": int((labels == k).sum())}
        for k, run, t in zip((1, 2, 3), ("one", "two", "three"), thresholds, strict=True)
    }
    sidecar = json.loads(sidecar_of(path).read_bytes())
    assert (sidecar["labels"], sidecar["conflicts"]) == (result["labels"], result["conflicts"])


def test_the_order_of_the_maps_decides_ties_and_numbers_the_labels(
    maps: list[Map], tomoseg: Tomoseg, tubes_project: Project
) -> None:
    result = merge(tomoseg, "two:f_two=0.5", "one=0.5")
    labels, _ = by_hand([maps[1], maps[0]], [0.5, 0.5])
    assert (labels == 1).sum() > (labels == 2).sum()
    np.testing.assert_array_equal(read_volume(Path(result["file"])), labels)


@pytest.mark.slow
def test_labels_have_the_grid_of_their_tomogram(maps: list[Map], tomoseg: Tomoseg) -> None:
    result = merge(tomoseg, "one=0.9")
    with open_volume(Path(result["file"])) as labels:
        assert (labels.grid, labels.dtype) == (GRID, np.dtype(np.int8))


def test_a_threshold_of_1_selects_nothing(maps: list[Map], tomoseg: Tomoseg, tubes_project: Project) -> None:
    result = merge(tomoseg, "one=1", arguments=("--name", "nothing"))
    path = Path(result["file"])
    assert (result["labels"]["1"]["voxels"], result["conflicts"]) == (0, [])
    assert not read_volume(path).any()
    assert blocks_of(path) < path.stat().st_size / 4


@pytest.mark.slow
def test_card_uses_the_threshold_stored_with_the_map(maps: list[Map], tomoseg: Tomoseg) -> None:
    assert merge(tomoseg, "one=card")["labels"]["1"]["threshold"] == 0.4


def test_slices_that_a_map_lacks_are_merged_from_the_other_maps(
    maps: list[Map], tomoseg: Tomoseg, tubes_project: Project
) -> None:
    part = maps[1].copy()
    part[:8] = part[16:] = 0
    make_map(tubes_project.layout, part, run="part", slices=[(8, 16)])
    done = tomoseg("merge", "tubes", "--map", "one=0.5", "--map", "part=0.5", "--wait", "--json")
    labels, conflicts = by_hand([maps[0], part], [0.5, 0.5])
    np.testing.assert_array_equal(read_volume(Path(done.json["file"])), labels)
    assert done.json["conflicts"] == conflicts
    assert "Slices filled in all maps: 8-15;" in done.err


@pytest.mark.slow
def test_merging_again_replaces_the_labels(maps: list[Map], tomoseg: Tomoseg) -> None:
    merge(tomoseg, "one=0.5")
    result = merge(tomoseg, "two=0.7")
    np.testing.assert_array_equal(read_volume(Path(result["file"])), by_hand([maps[1]], [0.7])[0])


@pytest.mark.slow
def test_labels_are_also_written_to_the_output_file(maps: list[Map], tomoseg: Tomoseg, tmp_path: Path) -> None:
    target = tmp_path / "labels.mrc"
    assert merge(tomoseg, "one=0.5", arguments=("-o", str(target)))["file"] == str(target)
    np.testing.assert_array_equal(read_volume(target), by_hand([maps[0]], [0.5])[0])
    assert "--force" in tomoseg.refused("merge", "tubes", "--map", "one=0.7", "-o", target)
    merge(tomoseg, "one=0.7", arguments=("-o", str(target), "--force"))
    np.testing.assert_array_equal(read_volume(target), by_hand([maps[0]], [0.7])[0])


def test_labels_in_the_project_survive_an_error_while_the_output_is_copied(
    maps: list[Map], tomoseg: Tomoseg, tubes_project: Project, tmp_path: Path
) -> None:
    """If the copy to the output fails, for example on a full disk, the labels in the project must stay."""
    broken = (
        "from tomoseg_tui.workflow.merge import merge_request\ndef fail(*_, **__):\n    raise OSError(28, 'No room')"
    )
    env = hooked(tmp_path / "hooks", worker=f"{broken}\nmerge_request.copy_to_output = fail")
    target = tmp_path / "labels.mrc"
    failed = tomoseg("merge", "tubes", "--map", "one=0.5", "-o", target, "--wait", code=2, env=env)
    assert "Disk full: " in failed.err
    assert "Traceback" not in failed.err
    tomoseg("jobs", "resume", "1", "--wait")
    expected = by_hand([maps[0]], [0.5])[0]
    np.testing.assert_array_equal(read_volume(target), expected)
    np.testing.assert_array_equal(read_volume(tubes_project.layout.label_file("tubes", "merged")), expected)


@pytest.mark.slow
def test_maps_that_change_between_stop_and_resume_do_not_mix(
    maps: list[Map], tomoseg: Tomoseg, tubes_project: Project, tmp_path: Path
) -> None:
    tomoseg("merge", "tubes", "--map", "one=0.5", env=held_workers(tmp_path / "hooks").env)
    job = Job(tubes_project.layout.job_folder("1"))
    wait_until((job.partial / "finished.jsonl").exists)
    tomoseg("jobs", "stop", "1")
    assert job.state() is JobState.STOPPED
    changed = make_map(tubes_project.layout, maps[2], run="one", feature="f_one")
    sidecar = json.loads(sidecar_of(changed).read_bytes())
    sidecar_of(changed).write_bytes(msgspec.json.encode({**sidecar, "weights_digest": "another"}))
    tomoseg("jobs", "resume", "1", "--wait")
    labels = read_volume(tubes_project.layout.label_file("tubes", "merged"))
    np.testing.assert_array_equal(labels, by_hand([maps[2]], [0.5])[0])


@pytest.mark.slow
def test_slices_larger_than_a_block_are_merged_in_bands(
    tubes_project: Project, tomoseg: Tomoseg, maps: list[Map], tmp_path: Path
) -> None:
    env = hooked(
        tmp_path / "hooks",
        worker="from tomoseg_tui.workflow.merge import merge_request\nmerge_request.BLOCK_VOXELS = 160 * 8 * 7",
    )
    done = tomoseg("merge", "tubes", "--map", "one=0.5", "--map", "two=0.2", "--wait", "--json", env=env)
    labels, conflicts = by_hand(maps[:2], [0.5, 0.2])
    np.testing.assert_array_equal(read_volume(Path(done.json["file"])), labels)
    assert done.json["conflicts"] == conflicts


@pytest.mark.parametrize(
    ("choice", "name", "message"),
    [
        ("one", "merged", "is not understood"),
        ("one=2", "merged", "is not a threshold"),
        ("one=nan", "merged", "is not a threshold"),
        ("none=0.5", "merged", "There is no network 'none'"),
        ("one:other=0.5", "merged", "There is no map of tubes by one:other"),
        ("one=0.5", "one.f_one", "is a map already"),
        ("one=0.5", "a/b", "a/b"),
    ],
)
def test_an_invalid_merge_is_refused(
    maps: list[Map], tubes_project: Project, choice: str, name: str, message: str
) -> None:
    with pytest.raises(TomosegError, match=message):
        merge_request(tubes_project, "tubes", [choice], name=name, output=None, force=False)


@pytest.mark.slow
def test_a_map_of_another_shape_than_the_tomogram_is_refused(
    maps: list[Map], tomoseg: Tomoseg, tubes_project: Project
) -> None:
    grid = VoxelGrid((2, 160, 160), 10.0, (0.0, 0.0, 0.0), (0, 0, 0))
    make_map(tubes_project.layout, maps[0][:2], run="thin", grid=grid)
    failed = tomoseg("merge", "tubes", "--map", "thin=0.5", "--wait", code=2)
    assert "(2, 160, 160), the tomogram has (24, 160, 160)" in failed.err
