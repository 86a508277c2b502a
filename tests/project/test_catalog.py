"""The contents of a project, their paths, and damaged files."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import bring, make_card, noise, put_card, write_map, write_mrc

from tomoseg_tui.core.tiles import FeatureState, Tile, TileLocation
from tomoseg_tui.errors import NotAProjectError, ProjectError
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import effective_layer, read_layer, write_layer
from tomoseg_tui.project.catalog import Project, make_project
from tomoseg_tui.project.history import append_command, format_command
from tomoseg_tui.project.layout import FOLDERS, find_project
from tomoseg_tui.project.records import (
    NetworkCard,
    StateRecord,
    TomogramRecord,
    now,
    read_record,
    read_states,
    write_record,
)
from tomoseg_tui.workflow.tomograms.import_tomograms import ImportRequest, import_volumes

PLACE = TileLocation("cell", 4, 64, 40)


def put_state(project: Project, feature: str, state: FeatureState) -> None:
    project.layout.tile_folder(PLACE).mkdir(parents=True, exist_ok=True)
    write_record(project.layout.tile_state(PLACE, feature), StateRecord(state, now()))


def test_a_project_has_its_folders_and_settings(project: Project) -> None:
    assert {entry.name for entry in project.layout.root.iterdir()} == {*FOLDERS, "project.toml"}
    assert "format = 1" in project.layout.settings.read_text()


def test_a_project_is_not_made_twice_or_inside_another_or_of_a_file(project: Project, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="is already a project"):
        make_project(project.layout.root)
    with pytest.raises(ProjectError, match="is inside the project"):
        make_project(project.layout.root / "tomograms" / "inner")
    (tmp_path / "file").touch()
    with pytest.raises(ProjectError, match="cannot be made a project"):
        make_project(tmp_path / "file")


def test_the_nearest_parent_that_is_a_project_is_found(project: Project, tmp_path: Path) -> None:
    root = project.layout.root
    assert find_project(root / "tomograms" / "not yet there") == root
    assert Project.find_enclosing(root / "tiles").layout.root == root
    with pytest.raises(NotAProjectError, match="is not in a tomoseg project"):
        Project.find_enclosing(tmp_path)


def test_a_path_inside_is_stored_relative_to_the_projects_folder(project: Project, tmp_path: Path) -> None:
    layout = project.layout
    assert layout.stored_path(layout.root / "maps" / "a.mrc") == "maps/a.mrc"
    assert layout.stored_path(tmp_path / "a.mrc") == str(tmp_path / "a.mrc")
    for path in (layout.root / "a.mrc", tmp_path / "a.mrc"):
        assert layout.root / layout.stored_path(path) == path


@pytest.mark.parametrize("feature", ["tube", "*", "claim", "claim.x", "a.json", "any", "X.Y-z_0"])
def test_every_feature_has_a_file_of_its_own(project: Project, feature: str) -> None:
    path = project.layout.tile_state(PLACE, feature)
    assert path != project.layout.tile_claim(PLACE)
    assert project.layout.feature_of_state(path.name) == feature
    put_state(project, feature, FeatureState.NONE_HERE)
    assert list(read_states(project.layout, PLACE)) == [feature]


def test_a_lock_and_drafts_are_not_features(project: Project) -> None:
    put_state(project, "tube", FeatureState.WANTED)
    folder = project.layout.tile_folder(PLACE)
    (folder / "claim.json").write_text("{}")
    (folder / ".tube.json.x1y2").write_text("{")
    assert list(catalog.tile_at(project.layout, PLACE).states) == ["tube"]


def test_a_feature_is_added_once(project: Project) -> None:
    assert catalog.add_feature(project, "tube")
    assert not catalog.add_feature(project, "tube")
    assert catalog.add_feature(project, "wall")
    assert Project.open(project.layout.root).settings.features == ("tube", "wall")
    assert not project.layout.change_claim.exists()


def test_an_unknown_feature_is_reported_with_the_existing_ones(project: Project) -> None:
    with pytest.raises(ProjectError, match="none yet"):
        catalog.require_feature(project, "tube")
    catalog.add_feature(project, "wall")
    with pytest.raises(ProjectError, match=r"there are: wall") as caught:
        catalog.require_feature(project, "tube")
    assert "tomoseg features add tube" in caught.value.fix
    assert catalog.require_feature(project, "wall") == "wall"


def test_an_unfinished_tomogram_is_not_listed(project: Project) -> None:
    bring(project, "cell", noise())
    shutil.copytree(project.layout.tomogram_folder("cell"), project.layout.tomograms / ".import.x")
    assert catalog.tomogram_names(project.layout) == ["cell"]


@pytest.mark.parametrize("name", ["lost", "../tomograms/cell", ".", ""])
def test_an_unknown_tomogram_is_reported_with_the_existing_ones(project: Project, name: str) -> None:
    bring(project, "cell", noise())
    with pytest.raises(ProjectError, match="there are: cell"):
        catalog.load_tomogram(project.layout, name)


def test_the_effective_layer_depends_on_the_state(project: Project) -> None:
    tile = Tile(PLACE, {"tube": FeatureState.ANNOTATED, "wall": FeatureState.WANTED, "*": FeatureState.NONE_HERE})
    layer = np.full((64, 64), 2, np.uint8)
    write_layer(project.layout.annotation(PLACE, "tube"), layer, None)
    write_layer(project.layout.annotation(PLACE, "wall"), layer, None)  # half painted: not yet annotated
    found = effective_layer(project.layout, tile, "tube")
    assert found is not None
    np.testing.assert_array_equal(found, layer)
    assert effective_layer(project.layout, tile, "wall") is None
    absent = effective_layer(project.layout, tile, "later")
    assert absent is not None
    assert (absent == 1).all()
    assert effective_layer(project.layout, Tile(PLACE, {}), "tube") is None


@pytest.mark.parametrize("values", [np.zeros((64, 63), np.uint8), np.zeros((64, 64), np.int16), None])
def test_a_damaged_layer_is_reported_clearly(project: Project, values: np.ndarray | None) -> None:
    path = project.layout.annotation(PLACE, "tube")
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x93NUMPY")
    if values is not None:
        np.save(path, values)
    with pytest.raises(ProjectError, match=r"tube\.npy (is damaged|has shape)"):
        read_layer(project.layout, PLACE, "tube")


def test_a_damaged_record_is_reported_clearly(project: Project) -> None:
    bring(project, "cell", noise())
    project.layout.tomogram_record("cell").write_text('{"file": 3}')
    with pytest.raises(ProjectError, match=r"tomogram\.json cannot be read") as caught:
        catalog.load_tomogram(project.layout, "cell")
    assert caught.value.fix


def test_unknown_keys_of_a_newer_version_are_ignored(project: Project) -> None:
    bring(project, "cell", noise())
    path = project.layout.tomogram_record("cell")
    path.write_text(json.dumps({**json.loads(path.read_text()), "tilt_axis": 85.3}))
    assert read_record(path, TomogramRecord).shape_zyx == (6, 64, 64)


def test_a_card_survives_its_file_and_has_the_key_from(project: Project) -> None:
    card = make_card(features=("b", "a"), made_from="first")
    put_card(project, card)
    assert catalog.load_network_card(project.layout, "run") == card
    plain = json.loads(project.layout.network_card("run").read_text())
    assert plain["from"] == "first"
    assert list(plain["features"]) == ["b", "a"]
    assert isinstance(card, NetworkCard)


def test_only_finished_maps_are_listed(project: Project) -> None:
    write_map(project, "run.tube", noise() & 127)
    write_mrc(project.layout.maps / "cell" / "half.mrc", noise())
    write_mrc(project.layout.maps / "cell" / ".draft.mrc", noise())
    assert [path.name for path, _ in catalog.maps_of(project.layout, "cell")] == ["run.tube.mrc"]
    assert not list(catalog.maps_of(project.layout, "other"))


def test_a_copied_project_is_the_same_project(project: Project, tmp_path: Path) -> None:
    bring(project, "cell", noise())
    write_map(project, "run.tube", noise() & 127)
    for path in project.layout.root.rglob("*"):
        assert not path.is_file() or str(project.layout.root).encode() not in path.read_bytes(), path
    copy = Project.open(Path(shutil.move(project.layout.root, tmp_path / "moved")))
    record = catalog.load_tomogram(copy.layout, "cell")
    assert catalog.volume_path(copy.layout, "cell", record).is_file()


def test_a_link_is_stored_as_an_absolute_path_and_reported_if_missing(project: Project, tmp_path: Path) -> None:
    path = write_mrc(tmp_path / "far.mrc", noise())
    import_volumes(project, [path], ImportRequest(link=True))
    record = catalog.load_tomogram(project.layout, "far")
    assert catalog.volume_path(project.layout, "far", record) == path
    path.unlink()
    with pytest.raises(ProjectError, match="The file of tomogram far is missing") as caught:
        catalog.volume_path(project.layout, "far", record)
    assert "tomoseg tomograms refresh far --file FILE" in caught.value.fix


def test_history_is_a_script(project: Project) -> None:
    append_command(project.layout.history, ["import", "my file.rec", "--name", "a"], folder="..")
    (line,) = project.layout.history.read_text().splitlines()
    entry = json.loads(line)
    assert (
        entry["command"]
        == "tomoseg import 'my file.rec' --name a"
        == format_command(["import", "my file.rec", "--name", "a"])
    )
    assert entry["in"] == ".."
    assert entry["at"].endswith("Z")
