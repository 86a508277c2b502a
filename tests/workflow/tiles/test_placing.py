"""Tiles: one per location, shared by versions on one grid, all of a list or none."""

from pathlib import Path

import pytest
from helpers.cli_runner import bring, digest_of, noise

from tomoseg_tui.core.tiles import FeatureState, TileLocation, parse_tile_id
from tomoseg_tui.errors import AlreadyRunningError, ProjectError, UsageError
from tomoseg_tui.files import locks
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.tiles.placing import (
    PlacementResult,
    TilePlacement,
    place_tiles,
    read_tile_placements,
    remove_tiles,
    tile_placement,
)

HEADER = "tomogram,x,y,z,feature,kind\n"


def wanted(tomogram: str = "cell", x: int = 64, feature: str = "tube", *, negative: bool = False) -> TilePlacement:
    return tile_placement(TileLocation(tomogram, 4, 64, x), feature, negative=negative)


def place(project: Project, *wishes: TilePlacement) -> PlacementResult:
    return place_tiles(project, wishes)


def of_csv(folder: Path, *lines: str, header: str = HEADER) -> list[TilePlacement]:
    path = folder / "places.csv"
    path.write_text(header + "".join(f"{line}\n" for line in lines))
    return read_tile_placements(path)


def test_a_tile_has_a_folder_named_by_its_location_with_one_file_per_feature(cell: Project) -> None:
    place(cell, wanted(x=70), wanted(x=70, feature="membrane", negative=True), wanted(x=70, feature="*", negative=True))
    folder = cell.layout.root / "tiles" / "cell" / "70_64_4_64"
    assert sorted(file.name for file in folder.iterdir()) == ["_any.json", "membrane.json", "tube.json"]


def test_a_feature_first_named_by_a_tile_is_added_and_reported(cell: Project) -> None:
    assert place(cell, wanted(), wanted(x=80), wanted(x=90, feature="*", negative=True)).new_features == ["tube"]
    assert Project.open(cell.layout.root).settings.features == ("tube",)
    assert place(cell, wanted(x=100)).new_features == []


def test_adding_at_an_existing_location_adds_the_feature(cell: Project) -> None:
    place(cell, wanted())
    placed = place(cell, wanted(), wanted(feature="membrane"))
    assert (placed.added, placed.existing) == (1, 1)
    (tile,) = catalog.all_tiles(cell.layout)
    assert dict(tile.states) == {"tube": FeatureState.WANTED, "membrane": FeatureState.WANTED}


@pytest.mark.parametrize("together", [True, False])
def test_one_feature_positive_and_negative_at_one_location_is_refused(cell: Project, *, together: bool) -> None:
    first, second = wanted(), wanted(negative=True)
    if not together:
        place(cell, first)
    before = digest_of(cell.layout.root)
    with pytest.raises(ProjectError, match="both positive and negative at cell:64,64,4:64"):
        place(cell, *([first, second] if together else [second]))
    assert digest_of(cell.layout.root) == before


def test_the_star_means_none_here_for_every_feature_without_a_state(cell: Project) -> None:
    place(cell, wanted(feature="*", negative=True), wanted(feature="tube"))
    (tile,) = catalog.all_tiles(cell.layout)
    assert tile.state_of("tube") is FeatureState.WANTED
    assert tile.state_of("made later") is FeatureState.NONE_HERE


def test_the_star_cannot_be_positive_or_a_features_name(cell: Project) -> None:
    with pytest.raises(UsageError, match="must be negative"):
        wanted(feature="*")
    with pytest.raises(ProjectError, match="it is reserved"):
        wanted(feature="ignore")
    with pytest.raises(ProjectError, match="it is reserved"):
        catalog.add_feature(cell, "*")


@pytest.mark.parametrize("at", [(-1, 0, 0), (0, -1, 0), (0, 0, -1), (8, 0, 0), (0, 128, 0), (0, 0, 128)])
def test_a_centre_outside_is_refused(cell: Project, at: tuple[int, int, int]) -> None:
    with pytest.raises(ProjectError, match="x 0-127, y 0-127, z 0-7"):
        place_tiles(cell, [tile_placement(TileLocation("cell", *at), "tube", negative=False)])
    assert not catalog.all_tiles(cell.layout)


def test_a_tile_that_exceeds_the_volume_is_placed_with_a_remark(cell: Project) -> None:
    placed = place(cell, wanted(x=31))
    assert "extends beyond the volume" in placed.remarks[0]
    assert not place(cell, wanted(x=32)).remarks
    assert not place(cell, wanted(x=96)).remarks
    assert place(cell, wanted(x=97)).remarks


@pytest.mark.parametrize("size", [0, -16, 40, 65])
def test_a_size_that_networks_cannot_halve_is_refused(size: int) -> None:
    with pytest.raises(ProjectError, match=f"{size} pixels wide"):
        TileLocation("cell", 4, 64, 64, size)


def test_a_tile_id_gives_the_location_with_default_size_64() -> None:
    assert parse_tile_id("cell__bin2:10,20,3:32") == TileLocation("cell__bin2", 3, 20, 10, 32)
    assert parse_tile_id("cell:10,20,3") == TileLocation("cell", 3, 20, 10, 64)
    for odd in ("cell", "cell:1,2", "cell:1,2,3:", "cell:a,2,3:64", ":1,2,3:64"):
        with pytest.raises(ProjectError, match="is not a tile id"):
            parse_tile_id(odd)


def test_versions_of_one_grid_share_tiles_also_within_one_list(cell: Project) -> None:
    bring(cell, "cell__preproc", noise((8, 128, 128)))
    place(cell, wanted("cell__preproc"), wanted("cell", feature="membrane"))
    assert [tile.location.id for tile in catalog.all_tiles(cell.layout)] == ["cell__preproc:64,64,4:64"]
    with pytest.raises(ProjectError, match="both positive and negative"):
        place(cell, wanted("cell", negative=True))
    with pytest.raises(ProjectError, match="both positive and negative"):
        place(cell, wanted("cell", x=90), wanted("cell__preproc", x=90, negative=True))
    assert catalog.tiles_of(cell.layout, "cell") == catalog.tiles_of(cell.layout, "cell__preproc")
    assert catalog.require_tile(cell.layout, TileLocation("cell", 4, 64, 64)).location.tomogram == "cell__preproc"


def test_versions_of_another_shape_or_voxel_size_do_not_share_tiles(cell: Project) -> None:
    bring(cell, "cell__bin2", noise((4, 64, 64)), voxel_size=20.0)
    bring(cell, "cell__odd", noise((8, 128, 128)), voxel_size=10.5)
    place(cell, wanted())
    assert [len(catalog.tiles_of(cell.layout, name)) for name in ("cell", "cell__bin2", "cell__odd")] == [1, 0, 0]


def test_tiles_are_listed_by_tomogram_then_z_y_x(cell: Project) -> None:
    bring(cell, "b", noise((8, 128, 128)))
    for name, z, y, x in [
        ("cell", 2, 9, 9),
        ("cell", 1, 50, 60),
        ("cell", 1, 50, 8),
        ("cell", 1, 100, 1),
        ("b", 7, 9, 9),
    ]:
        place_tiles(cell, [tile_placement(TileLocation(name, z, y, x), "tube", negative=False)])
    listed = [tile.location.id.removesuffix(":64") for tile in catalog.all_tiles(cell.layout)]
    assert listed == ["b:9,9,7", "cell:8,50,1", "cell:60,50,1", "cell:1,100,1", "cell:9,9,2"]


def test_removed_tiles_are_in_the_trash_with_their_annotations(cell: Project) -> None:
    place(cell, wanted(), wanted(x=80))
    layer = cell.layout.annotation(TileLocation("cell", 4, 64, 64), "tube")
    layer.parent.mkdir(parents=True)
    layer.write_bytes(b"layer")
    where = remove_tiles(cell, [TileLocation("cell", 4, 64, 64), TileLocation("cell", 4, 64, 64)])
    assert where.parent == cell.layout.trash
    assert (where / "annotations/cell/64_64_4_64/tube.npy").read_bytes() == b"layer"
    assert [file.name for file in (where / "tiles/cell/64_64_4_64").iterdir()] == ["tube.json"]
    assert [tile.location.x for tile in catalog.all_tiles(cell.layout)] == [80]


def test_removing_a_missing_tile_moves_nothing(cell: Project) -> None:
    place(cell, wanted())
    before = digest_of(cell.layout.root)
    with pytest.raises(ProjectError, match="no tile cell:1,1,1:64"):
        remove_tiles(cell, [TileLocation("cell", 4, 64, 64), TileLocation("cell", 1, 1, 1)])
    assert digest_of(cell.layout.root) == before


def test_a_tile_locked_by_another_process_is_not_changed(cell: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    place(cell, wanted())
    claim = cell.layout.tile_claim(TileLocation("cell", 4, 64, 64))
    patience = {"patience_seconds": 0.05}
    monkeypatch.setattr(locks.held.__wrapped__, "__kwdefaults__", patience)  # type: ignore[attr-defined]
    locks.acquire(claim, locks.this_process())
    try:
        with pytest.raises(AlreadyRunningError, match="is in use by process"):
            remove_tiles(cell, [TileLocation("cell", 4, 64, 64)])
    finally:
        locks.release(claim, locks.this_process())
    assert len(catalog.all_tiles(cell.layout)) == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("cell,64,64,4,tube,perhaps", "line 3, column kind: expected positive or negative, received 'perhaps'"),
        ("cell,64,6.5,4,tube,positive", "line 3, column y: expected a whole number of voxels, received '6.5'"),
        ("cell,64,64,four,tube,positive", "line 3, column z"),
        (",64,64,4,tube,positive", "line 3, column tomogram"),
        ("cell,64,64,4,,positive", "line 3, column feature"),
        ("cell,64,64,4,tube", "line 3: expected 6 values"),
        ("cell,64,64,4,a tube,positive", "line 3 of places.csv: 'a tube' cannot be the name of a feature"),
        ("cell,64,64,4,*,positive", "line 3 of places.csv: feature * stands for"),
    ],
)
def test_an_error_in_a_table_is_named_by_line_and_column(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises((ProjectError, UsageError)) as caught:
        of_csv(tmp_path, "cell,64,64,4,tube,positive", line)
    assert message in caught.value.fault
    assert caught.value.fix


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("lost,64,64,4,tube,positive", "line 3 of places.csv: column tomogram: There is no tomogram 'lost'"),
        ("cell,640,64,4,tube,positive", "line 3 of places.csv: column x: the centre x 640"),
        ("cell,64,64,4,tube,negative", "line 3 of places.csv: tube is both"),
    ],
)
def test_a_location_that_does_not_fit_the_project_is_named_by_line(
    cell: Project, tmp_path: Path, line: str, message: str
) -> None:
    with pytest.raises(ProjectError) as caught:
        place_tiles(cell, of_csv(tmp_path, "cell,64,64,4,tube,positive", line))
    assert caught.value.fault.startswith(message)
    assert not catalog.all_tiles(cell.layout)
    assert not Project.open(cell.layout.root).settings.features


def test_a_table_may_have_sizes_and_an_invalid_one_is_refused_by_line(tmp_path: Path) -> None:
    header = HEADER.replace("\n", ",size\n")
    rows = of_csv(tmp_path, "cell,64,64,4,tube,positive,32", "cell,64,64,4,tube,positive,", header=header)
    assert [row.location.size for row in rows] == [32, 64]
    with pytest.raises(ProjectError, match=r"line 2 of places.csv: A tile cannot be 50 pixels wide"):
        of_csv(tmp_path, "cell,64,64,4,tube,positive,50", header=header)


def test_tiles_of_several_sizes_may_have_one_centre(cell: Project) -> None:
    small = tile_placement(TileLocation("cell", 4, 64, 64, 32), "tube", negative=True)
    assert place(cell, wanted(), small).added == 2


def test_the_sample_table_is_read(sample_data: Path) -> None:
    rows = read_tile_placements(sample_data / "tiles.csv")
    assert len(rows) == 64
    assert {(row.feature, row.state) for row in rows} == {
        (feature, state)
        for feature in ("microtubule", "membrane")
        for state in (FeatureState.WANTED, FeatureState.NONE_HERE)
    }
