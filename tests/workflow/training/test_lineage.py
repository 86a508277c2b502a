"""A training that starts from an earlier run is not validated on tiles that the run was trained on."""

from pathlib import Path

import msgspec
import numpy as np
import pytest
from helpers.cli_runner import make_card, put_card, write_mrc

from tomoseg_tui.core.label_map import parse_label_map
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.io.trainset_file import TileMetadata, TrainsetSummary, read_tile_snapshots
from tomoseg_tui.io.triples_file import TripleSet, write_triples
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import FilterStep
from tomoseg_tui.workflow.annotations.import_annotations import import_label_volume
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement
from tomoseg_tui.workflow.tomograms.renaming import rename_tomogram
from tomoseg_tui.workflow.training.lineage import parent_runs
from tomoseg_tui.workflow.training.train_request import (
    TrainRequest,
    check_training,
    parent_remarks,
    plan_training,
    trainset_request,
)
from tomoseg_tui.workflow.training.trainset import (
    TrainsetRequest,
    build_trainset,
    build_trainset_file,
    gather_tiles,
    load_patches,
)

OLD = [(z, y, x) for z in (1, 6) for y, x in ((20, 20), (20, 84), (84, 20), (84, 84))]
NEW = [(z, y, x) for z in (1, 6) for y, x in ((20, 52), (84, 52), (52, 20), (52, 84), (52, 52))]
GO_ON = TrainRequest(name="next", features=("tube",), made_from="run")


def annotate(project: Project, places: list[tuple[int, int, int]], folder: Path, name: str = "cell") -> None:
    """Place tiles of 32 pixels and label all of them."""
    place_tiles(project, [tile_placement(TileLocation(name, *at, 32), "tube", negative=False) for at in places])
    labels = write_mrc(folder / "labels.mrc", np.ones((8, 128, 128), np.int8))
    import_label_volume(project, labels, name, parse_label_map(["1=tube"]))


@pytest.fixture
def with_run(cell: Project, tmp_path: Path) -> Project:
    """A project with a run that was trained on a training set of its own."""
    annotate(cell, OLD, tmp_path)
    put_card(cell, make_card("run"))
    build_trainset_file(cell, "run", TrainsetRequest(("tube",)), cell.layout.network_trainset("run"))
    return cell


def split_of(project: Project, run: str = "run") -> dict[str, bool]:
    return {one.id: one.held_out for one in read_tile_snapshots(project.layout.network_trainset(run))}


def as_of_a_named_set(project: Project, split: dict[str, bool]) -> None:
    """Make the run look as if its training set had been a named one, so that only its triples contain the split."""
    project.layout.network_trainset("run").unlink(missing_ok=True)
    blank = np.zeros((len(split), 1, 1), np.float32)
    layers = np.zeros((len(split), 1, 1, 1), np.uint8)
    held_out = np.array(list(split.values()))
    triples = TripleSet(tuple(split), ("tube",), held_out, blank, layers, blank[:, None])
    write_triples(project.layout.network_triples("run"), triples)


def gone_on(project: Project) -> tuple[TrainsetSummary, list[TileMetadata]]:
    """Return the training set of a training that starts from the run."""
    summary, tiles = gather_tiles(project, "next", trainset_request(GO_ON))
    return summary, [tile.metadata for tile in tiles]


@pytest.mark.parametrize("named", [False, True])
def test_trained_tiles_are_not_held_out_and_tiles_held_out_before_may_be(with_run: Project, *, named: bool) -> None:
    """A named set has the opposite split, so that trained tiles are the ones that a new split would hold out."""
    split = split_of(with_run)
    if named:
        split = {tile: not held_out for tile, held_out in split.items()}
        as_of_a_named_set(with_run, split)
    summary, facts = gone_on(with_run)
    judges = {one.id for one in facts if one.held_out}
    taught = {tile for tile, held_out in split.items() if not held_out}
    assert judges
    assert not judges & taught
    assert summary.held_out == len(judges)
    assert f"{len(taught)} of 8 tiles cannot be used for validation: run was trained on them." in summary.notes


def test_a_new_tile_that_overlaps_trained_pixels_is_not_held_out(with_run: Project, tmp_path: Path) -> None:
    taught = [
        TileLocation("cell", z, y, x, 32)
        for z, y, x in OLD
        if not split_of(with_run)[TileLocation("cell", z, y, x, 32).id]
    ]
    annotate(with_run, [(one.z, one.y + 30, one.x) for one in taught if one.y == 20], tmp_path)
    annotate(with_run, NEW, tmp_path)
    _, facts = gone_on(with_run)
    judges = [one for one in facts if one.held_out]
    assert judges
    for judge in judges:
        near = [one for one in taught if abs(one.z - judge.z) <= 4]
        assert not any(abs(one.y - judge.y) < 32 and abs(one.x - judge.x) < 32 for one in near)


def test_the_parents_of_a_parent_run_count_too(with_run: Project, tmp_path: Path) -> None:
    annotate(with_run, NEW, tmp_path)
    put_card(with_run, make_card("second", made_from="run"))
    path = with_run.layout.network_trainset("second")
    build_trainset_file(with_run, "second", trainset_request(GO_ON), path)
    request = TrainsetRequest(("tube",), made_from="second")
    judges = {tile.metadata.id for tile in gather_tiles(with_run, "third", request)[1] if tile.metadata.held_out}
    for run in ("run", "second"):
        assert not judges & {tile for tile, held_out in split_of(with_run, run).items() if not held_out}
    assert len(parent_runs(with_run, "second").trained_tiles) == 2


def test_nothing_is_held_out_if_all_tiles_were_trained_on(with_run: Project) -> None:
    as_of_a_named_set(with_run, dict.fromkeys(split_of(with_run), False))
    summary, _ = gone_on(with_run)
    assert summary.held_out == 0
    assert "Nothing was held out" in summary.held_out_reason
    assert any("8 of 8 tiles cannot be used for validation" in note for note in summary.notes)
    assert plan_training(with_run, GO_ON).summary.held_out == 0


def test_a_named_set_is_split_again_for_the_training_and_its_file_is_unchanged(with_run: Project) -> None:
    build_trainset(with_run, "set", TrainsetRequest(("tube",)))
    path = with_run.layout.trainset("set")
    before = path.read_bytes()
    kept, _, _ = load_patches(path, parents=parent_runs(with_run, "run"))
    assert (kept.held_out, kept.notes) == (2, load_patches(path)[0].notes)  # its held-out tiles are those of the run
    as_of_a_named_set(with_run, {tile: not held_out for tile, held_out in split_of(with_run).items()})
    summary, patches, facts = load_patches(path, parents=parent_runs(with_run, "run"))
    judges = {one.id for one in facts if one.held_out}
    old = {one.id for one in read_tile_snapshots(path) if one.held_out}
    assert judges
    assert not judges & old
    assert (summary.held_out, int(patches.held_out.sum())) == (len(judges), len(judges))
    assert any("2 of 8 tiles cannot be used for validation" in note for note in summary.notes)
    request = msgspec.structs.replace(GO_ON, trainset="set", features=())
    assert plan_training(with_run, request).summary.notes == summary.notes
    assert path.read_bytes() == before


def test_a_tile_of_a_renamed_tomogram_is_identified_by_its_contents_with_a_remark(with_run: Project) -> None:
    assert parent_remarks(with_run, GO_ON, None) == []
    rename_tomogram(with_run, "cell", "other")
    _, facts = gone_on(with_run)
    split = {tile.replace("cell:", "other:"): held_out for tile, held_out in split_of(with_run).items()}
    assert {one.id for one in facts if one.held_out} <= {tile for tile, held_out in split.items() if held_out}
    (remark,) = parent_remarks(with_run, GO_ON, None)
    assert "run was trained on cell, not found now" in remark


def test_tiles_are_inverted_to_the_polarity_of_the_run(with_run: Project) -> None:
    build_trainset(with_run, "set", TrainsetRequest(("tube",)))
    path = with_run.layout.trainset("set")
    plain = load_patches(path)[1].densities
    put_card(with_run, make_card("run", polarity="bright"))
    summary, patches, facts = load_patches(path, parents=parent_runs(with_run, "run"))
    np.testing.assert_array_equal(patches.densities, -plain)
    assert (summary.polarity, {one.sign for one in facts}) == ("bright", {-1})
    assert "All tiles are inverted to bright protein, as run expects." in summary.notes
    own, tiles = gone_on(with_run)
    assert (own.polarity, {one.sign for one in tiles}) == ("bright", {-1})
    assert "Inverted to bright protein: cell." in own.notes


def test_filters_other_than_those_of_the_run_give_a_remark(with_run: Project) -> None:
    summary = check_training(with_run, GO_ON)
    assert parent_remarks(with_run, GO_ON, summary) == []
    put_card(with_run, make_card("run", preprocessing=(FilterStep(lowpass=0.25),)))
    (remark,) = parent_remarks(with_run, GO_ON, summary)
    assert "(no filter) than run was trained with (low-pass 0.25, " in remark


def test_a_run_without_known_tiles_gives_a_remark(with_run: Project) -> None:
    with_run.layout.network_trainset("run").unlink()
    (remark,) = parent_remarks(with_run, GO_ON, None)
    assert remark == "The tiles that run was trained on are not known: validation scores may be too good."
    assert gone_on(with_run)[0].held_out == 2
