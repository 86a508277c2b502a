"""Renaming features and tomograms in all files of a project, and removing tomograms."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import bring, digest_of, make_card, noise, put_card, write_map, write_mrc
from helpers.run_project import put_audit, put_triples

from tomoseg_tui.core.label_map import parse_label_map
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.files import locks
from tomoseg_tui.io.trainset_file import read_summary
from tomoseg_tui.io.triples_file import read_triples
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.layout import sidecar_of
from tomoseg_tui.project.project_settings import write_settings
from tomoseg_tui.project.records import LabelEntry, LabelSidecar, TileCounts, read_record, write_record
from tomoseg_tui.workflow.annotations.import_annotations import import_label_volume
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement
from tomoseg_tui.workflow.tomograms.import_tomograms import ImportRequest, import_volumes
from tomoseg_tui.workflow.tomograms.renaming import remove_tomogram, rename_feature, rename_tomogram
from tomoseg_tui.workflow.training.trainset import TrainsetRequest, build_trainset

PLACE = TileLocation("cell", 4, 64, 40)


@pytest.fixture
def used(cell: Project, tmp_path: Path) -> Project:
    """Return a project in which the feature tube and the tomogram cell are in all kinds of files."""
    place_tiles(cell, [tile_placement(PLACE, "tube", negative=False)])
    labels = np.ones((8, 128, 128), np.int8)
    import_label_volume(cell, write_mrc(tmp_path / "labels.mrc", labels), "cell", parse_label_map(["1=tube"]))
    build_trainset(cell, "set", TrainsetRequest(("tube",)))
    put_card(cell, make_card("run"))
    write_map(cell, "run.tube", noise((8, 128, 128)) & 127)
    return Project.open(cell.layout.root)


def test_a_feature_is_renamed_everywhere(used: Project) -> None:
    rename_feature(used, "tube", "microtubule")
    fresh = Project.open(used.layout.root)
    assert fresh.settings.features == ("microtubule",)
    (tile,) = catalog.all_tiles(fresh.layout)
    assert list(tile.states) == ["microtubule"]
    assert read_layer(fresh.layout, PLACE, "microtubule") is not None
    assert read_summary(fresh.layout.trainset("set")).features == ("microtubule",)
    assert list(catalog.load_network_card(fresh.layout, "run").features) == ["microtubule"]
    assert [sidecar.feature for _, sidecar in catalog.maps_of(fresh.layout, "cell")] == ["microtubule"]
    left = [path for path in used.layout.root.rglob("*tube*") if "microtubule" not in path.name]
    assert not left


def test_no_result_says_the_old_name_of_a_feature(project: Project) -> None:
    """Neither training sets of runs, triples, counts of tiles, sentences, nor the networks of a label volume."""
    layout, note = project.layout, "No tile is negative for {}; {}-like ones are."
    old, new = "microtubule", "wall"
    write_settings(layout.settings, replace(project.settings, features=(old,)))
    counts = TileCounts({old: 5}, {old: 1}, 5, 1)
    card = make_card("run", features=(old,), tile_counts=counts, notes=(note.format(old, old),))
    put_card(project, card)
    put_triples(project, card)
    put_audit(project, "found", notes=(note.format(old, old),))
    place_of_volume = layout.label_file("alpha", "merged")
    place_of_volume.parent.mkdir(parents=True)
    bring(project, "alpha", noise((2, 64, 64)))
    write_mrc(place_of_volume, noise((2, 8, 8)))
    labels = {"1": LabelEntry(old, "run", 0.5), "2": LabelEntry("other", old, 0.5)}
    maps = {f"run.{old}": "a", f"{old}.other": "b"}
    sidecar = LabelSidecar(tomogram="alpha", name="merged", labels=labels, conflicts=[], maps=maps)
    write_record(sidecar_of(place_of_volume), sidecar)
    rename_feature(Project.open(layout.root), old, new)
    renamed = catalog.load_network_card(layout, "run")
    assert renamed.tile_counts == TileCounts({new: 5}, {new: 1}, 5, 1)
    assert renamed.notes == (note.format(new, old),), "microtubule-like is another word"
    report = catalog.load_audit_report(layout, "found")
    assert (report.features, report.notes) == ((new,), renamed.notes)
    assert report.tiles[0].reasons == (f"the network predicts {new} on 50 % of this negative tile",)
    for path in (layout.network_triples("run"), layout.audit_triples("found")):
        assert read_triples(path).features == (new,)
        assert old.encode() not in path.read_bytes()
    assert read_record(sidecar_of(place_of_volume), LabelSidecar).maps == {f"run.{new}": "a", f"{old}.other": "b"}


def test_a_tomogram_is_renamed_everywhere(used: Project) -> None:
    rename_tomogram(used, "cell", "lamella")
    assert catalog.tomogram_names(used.layout) == ["lamella"]
    record = catalog.load_tomogram(used.layout, "lamella")
    assert catalog.volume_path(used.layout, "lamella", record).name == "lamella.mrc"
    assert [tile.location.id for tile in catalog.all_tiles(used.layout)] == ["lamella:40,64,4:64"]
    assert [sidecar.tomogram for _, sidecar in catalog.maps_of(used.layout, "lamella")] == ["lamella"]
    assert read_layer(used.layout, TileLocation("lamella", 4, 64, 40), "tube") is not None


def test_a_removed_tomogram_is_in_the_trash_with_all_its_files(used: Project) -> None:
    before = digest_of(used.layout.tomogram_folder("cell"))
    where = remove_tomogram(used, "cell")
    assert digest_of(where / "tomograms" / "cell") == before
    assert sorted(folder.name for folder in where.iterdir()) == ["annotations", "maps", "tiles", "tomograms"]
    assert not catalog.tomogram_names(used.layout)
    bring(used, "cell", noise())
    assert not catalog.tiles_of(used.layout, "cell")


def test_a_linked_file_is_not_moved(cell: Project, tmp_path: Path) -> None:
    path = write_mrc(tmp_path / "far.mrc", noise())
    import_volumes(cell, [path], ImportRequest(link=True))
    rename_tomogram(cell, "far", "near")
    assert catalog.volume_path(cell.layout, "near", catalog.load_tomogram(cell.layout, "near")) == path
    remove_tomogram(cell, "near")
    assert path.exists()


def test_taken_invalid_and_unknown_names_are_refused(used: Project) -> None:
    bring(used, "other", noise())
    place_tiles(used, [tile_placement(PLACE, "wall", negative=True)])
    before = digest_of(used.layout.root)
    for old, new in (("cell", "other"), ("lost", "new"), ("cell", "a b")):
        with pytest.raises(ProjectError):
            rename_tomogram(used, old, new)
    for old, new in (("tube", "wall"), ("lost", "new"), ("tube", "ignore"), ("tube", "*"), ("tube", "a b")):
        with pytest.raises(ProjectError):
            rename_feature(used, old, new)
    with pytest.raises(ProjectError):
        remove_tomogram(used, "lost")
    assert digest_of(used.layout.root) == before


def test_nothing_is_renamed_while_a_job_is_running(used: Project) -> None:
    folder = used.layout.job_folder("3")
    folder.mkdir()
    owner = locks.this_process()
    assert owner.pid == os.getpid()
    locks.acquire(folder / "claim.json", owner)
    with pytest.raises(ProjectError, match="Job 3 is running"):
        rename_feature(used, "tube", "new")
    with pytest.raises(ProjectError, match="Job 3 is running"):
        remove_tomogram(used, "cell")
