"""Exported tiles are imported to the pixel in every format; differences are refused with a clear error."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from helpers.cli_runner import bring, digest_of, noise, write_mrc
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from tomoseg_tui.core.mask_encoding import CODES, PALETTE
from tomoseg_tui.core.tiles import FeatureState, TileLocation
from tomoseg_tui.errors import ProjectError, ShapeError, TomosegError, UsageError
from tomoseg_tui.io import eman2_hdf
from tomoseg_tui.io.export_manifest import read_manifest
from tomoseg_tui.io.formats import open_stack, open_volume
from tomoseg_tui.io.png import png_files
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import read_layer, write_layer
from tomoseg_tui.project.catalog import Project, make_project
from tomoseg_tui.project.records import LayerSource, StateRecord, now, write_record
from tomoseg_tui.workflow.annotations.import_annotations import AnnotationResult
from tomoseg_tui.workflow.exchange.export_formats import EXPORT_FORMATS, ExportFormat
from tomoseg_tui.workflow.exchange.export_tiles import TileExport, TileExportRequest, export_tiles
from tomoseg_tui.workflow.exchange.import_masks import MaskImportRequest, import_masks_from_file
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement

SHAPE = (6, 160, 160)
PLACES = (
    TileLocation("cell", 1, 40, 40),
    TileLocation("cell", 1, 40, 112),
    TileLocation("cell", 3, 100, 60),
    TileLocation("cell", 4, 10, 150),
)
"""Tiles of one size that do not overlap; the last one extends beyond the volume."""
FEATURES = ("tube", "wall")
LAYERS = st.sampled_from(["none", "wanted", "unseen", "random", "feature", "not", "seen"])
Layers = dict[tuple[TileLocation, str], NDArray[np.uint8]]


def make(folder: Path) -> Project:
    """Make a project with a tomogram and tiles that are wanted for both features."""
    project = make_project(folder)
    bring(project, "cell", noise(SHAPE))
    place_tiles(project, [tile_placement(place, feature, negative=False) for place in PLACES for feature in FEATURES])
    return Project.open(folder)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("lent") / "template").layout.root


@pytest.fixture
def source(template: Path, tmp_path: Path) -> Project:
    return copy_of(template, tmp_path / "lender")


def copy_of(template: Path, folder: Path) -> Project:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template, folder)
    return Project.open(folder)


def some_layer(kind: str, seed: int) -> NDArray[np.uint8]:
    values = np.random.default_rng(seed).integers(0, 4, (64, 64)).astype(np.uint8)
    return {
        "random": values,
        "unseen": np.zeros_like(values),
        "feature": np.full_like(values, 2),
        "not": np.ones_like(values),
        "seen": np.where(values == 0, 1, values).astype(np.uint8),
    }[kind]


def paint(
    project: Project, place: TileLocation, feature: str, layer: NDArray[np.uint8], *, kind: str = "imported"
) -> None:
    write_layer(project.layout.annotation(place, feature), layer, None)
    record = StateRecord(FeatureState.ANNOTATED, now(), LayerSource(kind, "some.mrc", now()))
    write_record(project.layout.tile_state(place, feature), record)


def paint_some(project: Project) -> Layers:
    """Paint tube on the first three tiles, with every value; wall on the first."""
    layers = {(place, "tube"): some_layer("random", seed) for seed, place in enumerate(PLACES[:3])}
    layers[PLACES[0], "wall"] = some_layer("random", 9)
    for (place, feature), layer in layers.items():
        paint(project, place, feature, layer)
    return layers


def known(project: Project) -> dict[tuple[TileLocation, str], tuple[str, list[int] | None]]:
    """Return state and pixels of every tile and feature; a layer without labels counts as none."""
    found = {}
    for place in PLACES:
        tile = catalog.tile_at(project.layout, place)
        for feature in FEATURES:
            layer = read_layer(project.layout, place, feature)
            pixels = layer.ravel().tolist() if layer is not None and layer.any() else None
            found[place, feature] = (str(tile.state_of(feature)) if pixels else "", pixels)
    return found


def layer_at(project: Project, place: TileLocation, feature: str = "tube") -> NDArray[np.uint8]:
    layer = read_layer(project.layout, place, feature)
    assert layer is not None
    return layer


def export(
    project: Project, folder: Path, form: ExportFormat, *, features: Sequence[str] = (), slab: int | None = None
) -> TileExport:
    folder.mkdir(exist_ok=True)
    target = folder / ("out" if form == "png" else f"out.{'tif' if form == 'napari' else form}")
    wanted = TileExportRequest(target, form, tuple(features), slice_margin=slab, force=True)
    return export_tiles(project, wanted)


def import_file(project: Project, path: Path, **options: Any) -> AnnotationResult:
    return import_masks_from_file(project, MaskImportRequest(path, **options))


# Round trips


@pytest.mark.slow
@pytest.mark.parametrize(
    ("form", "slab"), [*((form, None) for form in EXPORT_FORMATS), *((form, 1) for form in EXPORT_FORMATS[:4])]
)
@settings(max_examples=6, deadline=None)
@given(kinds=st.lists(LAYERS, min_size=8, max_size=8), seed=st.integers(0, 99))
def test_an_export_is_imported_to_the_pixel(
    template: Path,
    tmp_path_factory: pytest.TempPathFactory,
    form: ExportFormat,
    slab: int | None,
    kinds: list[str],
    seed: int,
) -> None:
    folder = tmp_path_factory.mktemp("trip")
    source, target = copy_of(template, folder / "lender"), copy_of(template, folder / "borrower")
    for number, (place, feature) in enumerate([(p, f) for p in PLACES for f in FEATURES]):
        kind = kinds[number]
        if kind == "none":
            write_record(source.layout.tile_state(place, feature), StateRecord(FeatureState.NONE_HERE, now()))
            source.layout.tile_state(place, feature).replace(target.layout.tile_state(place, feature))
            write_record(source.layout.tile_state(place, feature), StateRecord(FeatureState.NONE_HERE, now()))
        elif kind != "wanted":
            layer = some_layer(kind, seed + number)
            if slab is not None and place == PLACES[3]:  # pixels outside the volume are not in the slices
                layer[54:], layer[:22], layer[:, 42:] = (layer[54:], 0, 0)
            paint(source, place, feature, layer)
    exported = export(source, folder / "files", form, slab=slab)
    before = digest_of(source.layout.root)
    result = import_file(target, exported.manifest)
    assert known(target) == known(source)
    assert not result.skipped
    assert not [remark for remark in result.remarks if "flipped" in remark]
    import_file(source, exported.manifest)
    assert known(target) == known(source)
    assert set(digest_of(source.layout.root)) == set(before), "nothing went to the trash"


@pytest.mark.parametrize("form", EXPORT_FORMATS)
def test_a_file_has_its_manifest_and_feature_found(source: Project, tmp_path: Path, form: ExportFormat) -> None:
    layers = paint_some(source)
    exported = export(source, tmp_path / "files", form)
    for feature in FEATURES:
        source.layout.annotation(PLACES[0], feature).unlink()
    import_file(source, exported.masks["wall"])
    assert read_layer(source.layout, PLACES[0], "tube") is None
    np.testing.assert_array_equal(layer_at(source, PLACES[0], "wall"), layers[PLACES[0], "wall"])


def test_a_file_with_a_longer_name_or_in_another_folder_is_matched_too(source: Project, tmp_path: Path) -> None:
    layers = paint_some(source)
    exported = export(source, tmp_path / "files", "mrc")
    source.layout.annotation(PLACES[0], "tube").unlink()
    edited = exported.masks["tube"].with_name("out_tube-edited.mrc")
    exported.masks["tube"].rename(edited)
    import_file(source, edited)
    np.testing.assert_array_equal(layer_at(source, PLACES[0]), layers[PLACES[0], "tube"])
    elsewhere = tmp_path / "mine.mrc"
    edited.rename(elsewhere)
    with pytest.raises(
        UsageError, match=r"mine.mrc does not give the feature of the masks; the exported features are tube, wall"
    ):
        import_file(source, elsewhere, manifest=exported.manifest)
    result = import_file(source, elsewhere, manifest=exported.manifest, feature="tube")
    assert result.annotated == 3
    assert not any("No densities" in remark for remark in result.remarks), "they lie beside the manifest"


def test_an_empty_mask_that_is_painted_becomes_fully_labelled(source: Project, tmp_path: Path) -> None:
    exported = export(source, tmp_path / "files", "tif", features=["tube"])
    masks = open_stack(exported.masks["tube"])
    assert not masks.any()
    masks[1, 5:9, 7] = CODES["feature"]
    masks[1, 20, 20] = CODES["ignore"]
    tifffile.imwrite(exported.masks["tube"], masks, photometric="minisblack")
    result = import_file(source, exported.masks["tube"])
    assert result.annotated == 1
    assert any("3 tiles came back unchanged and empty" in remark for remark in result.remarks)
    layer = layer_at(source, PLACES[1])
    assert np.bincount(layer.ravel(), minlength=4).tolist() == [0, 64 * 64 - 5, 4, 1]
    assert catalog.tile_at(source.layout, PLACES[0]).state_of("tube") is FeatureState.WANTED


def test_painted_layers_stay_without_replace(source: Project, tmp_path: Path) -> None:
    layer = some_layer("seen", 1)
    paint(source, PLACES[0], "tube", layer, kind="painted")
    exported = export(source, tmp_path / "files", "tif", features=["tube"])
    assert import_file(source, exported.manifest).annotated == 1, "the same is no change"
    masks = open_stack(exported.masks["tube"])
    masks[0, :10] = 1
    tifffile.imwrite(exported.masks["tube"], masks, photometric="minisblack")
    assert "painted by a person" in import_file(source, exported.manifest).skipped[0]
    np.testing.assert_array_equal(layer_at(source, PLACES[0]), layer)
    import_file(source, exported.manifest, replace=True)
    assert (layer_at(source, PLACES[0])[:10] == 2).all()
    assert list(source.layout.trash.rglob("tube.npy"))


# What differs


def rewrite(path: Path, change: Callable[[NDArray[Any]], NDArray[Any]]) -> None:
    """Change the images of a file like another program."""
    if path.is_dir():
        files = png_files(path)
        for file, image in zip(files, change(open_stack(path)), strict=False):
            Image.fromarray(image).save(file)
        return
    images = change(open_stack(path))
    if path.suffix == ".mrc":
        path.unlink()
        write_mrc(path, images)
    elif path.suffix == ".hdf":
        eman2_hdf.write_image_stack(path, images, voxel_size_angstrom=10.0)
    else:
        tifffile.imwrite(path, images, photometric="minisblack")


def flip(images: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(images[:, ::-1])


@pytest.mark.parametrize("form", EXPORT_FORMATS)
def test_a_flip_in_y_is_detected_by_the_densities_and_undone(
    source: Project, tmp_path: Path, form: ExportFormat
) -> None:
    """The masks are all changed, so that they do not show the orientation."""
    exported = export(source, tmp_path / "files", form, features=["tube"])
    rewrite(exported.image, flip)
    rewrite(exported.masks["tube"], lambda masks: np.where(np.arange(64)[:, None] < 10, 1, masks).astype(masks.dtype))
    result = import_file(source, exported.masks["tube"])
    assert any("came back flipped in y, which was undone" in remark for remark in result.remarks)
    layer = layer_at(source, PLACES[2])
    np.testing.assert_array_equal(np.unique(np.argwhere(layer == 2)[:, 0]), np.arange(54, 64))


@pytest.mark.parametrize("form", EXPORT_FORMATS)
def test_a_flip_is_detected_by_unchanged_masks_alone(source: Project, tmp_path: Path, form: ExportFormat) -> None:
    layers = paint_some(source)
    exported = export(source, tmp_path / "files", form, features=["tube"])
    if form == "png":
        shutil.rmtree(exported.image)
    else:
        exported.image.unlink()
    rewrite(exported.masks["tube"], flip)
    for place in PLACES[:3]:
        source.layout.annotation(place, "tube").unlink()
    result = import_file(source, exported.masks["tube"])
    assert any("flipped in y" in remark for remark in result.remarks)
    assert (layer_at(source, PLACES[1]) == 2).tolist() == (layers[PLACES[1], "tube"] == 2).tolist()


def test_flipped_densities_with_masks_not_flipped_are_refused(source: Project, tmp_path: Path) -> None:
    paint_some(source)
    exported = export(source, tmp_path / "files", "mrc", features=["tube"])
    rewrite(exported.image, flip)
    refused(source, exported.manifest, "came back flipped in y, but its masks did not")


def test_without_densities_a_remark_names_the_assumed_order(source: Project, tmp_path: Path) -> None:
    exported = export(source, tmp_path / "files", "mrc", features=["tube"])
    exported.image.unlink()
    rewrite(exported.masks["tube"], lambda masks: np.where(np.arange(64) < 10, 1, masks).astype(masks.dtype))
    assert any("No densities came back" in remark for remark in import_file(source, exported.manifest).remarks)


def refused(project: Project, path: Path, message: str, fault: type[TomosegError] = ShapeError, **more: Any) -> None:
    """Check that a file is refused without a change to the project."""
    before = digest_of(project.layout.root)
    with pytest.raises(fault, match=message) as caught:
        import_file(project, path, **more)
    assert caught.value.fix
    assert digest_of(project.layout.root) == before


@pytest.mark.parametrize("form", ["mrc", "hdf", "tif", "napari"])
def test_another_length_size_or_order_is_refused(source: Project, tmp_path: Path, form: ExportFormat) -> None:
    paint_some(source)
    cases: list[tuple[Callable[[NDArray[Any]], NDArray[Any]], str]] = [
        (lambda masks: masks[:3], "contains 3 images of 64 x 64 pixels .* expected 4 of 64 x 64"),
        (lambda masks: masks[:, :48, :32], "contains 4 images of 32 x 48 pixels"),
        (lambda masks: masks[[1, 0, 2, 3]], "2 masks in another order: mask 1 is that of cell:112,40,1:64"),
        (lambda masks: flip(masks[[1, 0, 2, 3]]), "2 masks in another order: mask 1 is that of cell:112,40,1:64"),
    ]
    for change, message in cases:
        exported = export(source, tmp_path / "files", form, features=["tube"])
        rewrite(exported.masks["tube"], change)
        refused(source, exported.masks["tube"], message)


@settings(max_examples=8, deadline=None)
@given(
    order=st.permutations(range(4)),
    flipped=st.sampled_from(["", "flipped"]),
    form=st.sampled_from(["mrc", "tif", "hdf"]),
)
def test_densities_in_another_order_are_refused(
    template: Path, tmp_path_factory: pytest.TempPathFactory, order: list[int], flipped: str, form: ExportFormat
) -> None:
    folder = tmp_path_factory.mktemp("order")
    source = Project.open(template)
    exported = export(source, folder / "files", form, features=["tube"])
    rewrite(exported.image, lambda images: flip(images[order]) if flipped else images[order])
    if order == sorted(order):
        import_file(copy_of(template, folder / "lender"), exported.manifest)
    else:
        refused(source, exported.manifest, "images in another order")


TURNS: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
    "flipped in y": lambda images: images[:, ::-1],
    "mirrored in x": lambda images: images[:, :, ::-1],
    "rotated by 180 degrees": lambda images: images[:, ::-1, ::-1],
    "with x and y swapped": lambda images: images.swapaxes(1, 2),
    "rotated by 90 degrees": lambda images: np.rot90(images, 1, (1, 2)),
    "rotated by -90 degrees": lambda images: np.rot90(images, -1, (1, 2)),
    "with x and y swapped and rotated by 180 degrees": lambda images: images.swapaxes(1, 2)[:, ::-1, ::-1],
}


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("known_by", ["unchanged masks", "densities", "changed masks", "slices"])
def test_masks_in_any_direction_are_turned_back(source: Project, tmp_path: Path, turn: str, known_by: str) -> None:
    layers = paint_some(source) if known_by != "changed masks" else paint_shapes(source)
    exported = export(source, tmp_path / "files", "tif", features=["tube"], slab=0 if known_by == "slices" else None)

    def change(images: NDArray[Any]) -> NDArray[Any]:
        edited = images.copy()
        if known_by in {"densities", "changed masks"}:
            edited[:, 0, :3] = 1
        return np.ascontiguousarray(TURNS[turn](edited))

    rewrite(exported.masks["tube"], change)
    if known_by == "densities":
        rewrite(exported.image, lambda images: np.ascontiguousarray(TURNS[turn](images)))
    elif known_by == "unchanged masks":
        exported.image.unlink()
    result = import_file(source, exported.masks["tube"], replace=True)
    assert any(f"came back {turn}, which was undone" in remark for remark in result.remarks)
    for place in PLACES[:3]:
        expected = layers[place, "tube"] == 2
        if known_by in {"densities", "changed masks"}:
            expected[0, :3] = True
        np.testing.assert_array_equal(layer_at(source, place) == 2, expected)


def paint_shapes(project: Project) -> Layers:
    """Paint a shape without symmetry on the first three tiles."""
    layers = {}
    for number, place in enumerate(PLACES[:3]):
        layer = np.ones((64, 64), np.uint8)
        layer[8:20, 10 + number : 50] = 2
        layer[20:40, 10:18] = 2
        paint(project, place, "tube", layer)
        layers[place, "tube"] = layer
    return layers


def test_masks_of_which_some_are_turned_are_refused(source: Project, tmp_path: Path) -> None:
    paint_some(source)
    exported = export(source, tmp_path / "files", "tif", features=["tube"])

    def turn_first(masks: NDArray[Any]) -> NDArray[Any]:
        turned = masks.copy()
        turned[0] = masks[0].T
        return turned

    rewrite(exported.masks["tube"], turn_first)
    refused(source, exported.manifest, "Not all masks of .* came back in one direction: with x and y swapped or as")


def test_a_flip_that_the_user_knows_of_is_undone(source: Project, tmp_path: Path) -> None:
    exported = export(source, tmp_path / "files", "tif", features=["tube"])
    masks = np.zeros((len(PLACES), 64, 64), np.uint8)
    masks[:, 3:9, 20:30] = 1
    rewrite(exported.masks["tube"], lambda _: flip(masks))
    import_file(source, exported.masks["tube"], flip=("y",))
    np.testing.assert_array_equal(layer_at(source, PLACES[0]) == 2, masks[0] == 1)


def test_densities_that_are_others_are_refused(source: Project, tmp_path: Path) -> None:
    exported = export(source, tmp_path / "files", "tif", features=["tube"])
    rewrite(exported.image, lambda images: np.random.default_rng(1).normal(size=images.shape).astype(np.float32))
    refused(source, exported.manifest, "do not match their tiles")


def test_pngs_are_identified_by_their_names(source: Project, tmp_path: Path) -> None:
    paint_some(source)
    exported = export(source, tmp_path / "files", "png", features=["tube"])
    first = png_files(exported.masks["tube"])[0]
    first.rename(first.with_name("other.png"))
    refused(source, exported.manifest, "1 missing, such as 0001_cell_40_40_1_64.png; 1 more, such as other.png")


def test_a_removed_tile_is_named(source: Project, tmp_path: Path) -> None:
    exported = export(source, tmp_path / "files", "mrc")
    shutil.rmtree(source.layout.tile_folder(PLACES[1]))
    refused(source, exported.manifest, r"There is no tile cell:112,40,1:64", ProjectError)


# Slices


@pytest.mark.parametrize("form", ["mrc", "hdf", "tif", "napari"])
def test_flipped_slices_are_flipped_back(source: Project, tmp_path: Path, form: ExportFormat) -> None:
    layers = paint_some(source)
    exported = export(source, tmp_path / "files", form, features=["tube"], slab=1)
    assert read_manifest(exported.manifest).shape == (6, 160, 160)
    for file in (exported.image, exported.masks["tube"]):
        with open_volume(file) as reader:
            values = flip(reader.read_slices(0, 6))
        (write_mrc if file.suffix == ".mrc" else _write_other)(file, values)
    for place in PLACES[:3]:
        source.layout.annotation(place, "tube").unlink()
    result = import_file(source, exported.manifest)
    assert any("flipped in y" in remark for remark in result.remarks)
    assert (layer_at(source, PLACES[1]) == 2).tolist() == (layers[PLACES[1], "tube"] == 2).tolist()


def _write_other(path: Path, values: NDArray[Any]) -> None:
    if path.suffix == ".hdf":
        from tomoseg_tui.core.grid import VoxelGrid

        eman2_hdf.write_volume(path, iter([values]), VoxelGrid(SHAPE, 10.0))
    else:
        tifffile.imwrite(path, values, photometric="minisblack")


def test_marks_outside_tiles_and_other_orientations_of_slices_are_reported(source: Project, tmp_path: Path) -> None:
    exported = export(source, tmp_path / "files", "tif", features=["tube"], slab=0)
    assert read_manifest(exported.manifest).shape == (4, 160, 160)
    masks = tifffile.imread(exported.masks["tube"])
    masks[0, 40, 40] = 1
    masks[1, :3, :3] = 1
    tifffile.imwrite(exported.masks["tube"], masks, photometric="minisblack")
    result = import_file(source, exported.manifest)
    assert any("9 voxels marked outside all tiles" in remark for remark in result.remarks)
    assert result.annotated == 1
    tifffile.imwrite(exported.image, tifffile.imread(exported.image)[::-1], photometric="minisblack")
    reversed_result = import_file(source, exported.manifest, replace=True)
    assert any("with its slices in reverse order, which was undone" in remark for remark in reversed_result.remarks)
    tifffile.imwrite(exported.image, noise((4, 160, 160), seed=1), photometric="minisblack")
    refused(source, exported.manifest, "does not show cell:40,40,1:64 where it was exported")
    exported.image.unlink()
    tifffile.imwrite(exported.masks["tube"], masks[:3], photometric="minisblack")
    refused(source, exported.manifest, r"expected \(4, 160, 160\)")


def test_exported_slices_have_their_position_in_the_tomogram(source: Project, tmp_path: Path) -> None:
    exported = export(source, tmp_path / "files", "mrc", slab=0)
    with open_volume(exported.image) as reader:
        np.testing.assert_array_equal(reader.read_slices(0, 4), noise(SHAPE)[1:5])
        assert reader.grid.origin_xyz_angstrom == (0.0, 0.0, 10.0)
        assert reader.grid.nstart_xyz == (0, 0, 1)
    assert exported.frames is not None
    with open_volume(exported.frames) as reader:
        frames = reader.read_slices(0, 1)[0]
    assert frames[8, 8:72].all()
    assert not frames[9:71, 9:71].any()


# What other programs write


def test_a_stack_painted_in_eman2_is_imported(source: Project, tmp_path: Path) -> None:
    exported = export(source, tmp_path / "particles", "hdf", features=["tube"])
    assert exported.masks["tube"].name == "out_seg.hdf"
    exported.masks["tube"].unlink()
    rewrite(
        exported.image, lambda images: np.where((np.arange(64) > 50) & (np.arange(4) == 2)[:, None, None], 100, images)
    )
    result = import_file(source, exported.image)
    assert any("as in EMAN2" in remark for remark in result.remarks)
    layer = layer_at(source, PLACES[2])
    np.testing.assert_array_equal(layer[:, 51:], 2)
    assert (layer[:, :51] == 1).all()
    assert result.annotated == 1
    refused(
        source, export(source, tmp_path / "particles", "hdf", features=["tube"]).image, "nothing painted", UsageError
    )


def test_ignored_pixels_survive_eman2(source: Project, tmp_path: Path) -> None:
    """EMAN2's masks are 0 and 1; ignored pixels stay ignored if they are not painted."""
    layer = some_layer("seen", 3)
    paint(source, PLACES[0], "tube", layer)
    exported = export(source, tmp_path / "files", "hdf", features=["tube"])
    assert set(np.unique(open_stack(exported.masks["tube"])).tolist()) == {0.0, 1.0}
    rewrite(exported.masks["tube"], lambda masks: np.where(np.arange(64)[:, None] < 5, 1, masks))
    import_file(source, exported.masks["tube"])
    found = layer_at(source, PLACES[0])
    assert (found[:5] == 2).all()
    np.testing.assert_array_equal(found[5:], layer[5:])


def test_eman2_headers_identify_the_tile(source: Project, tmp_path: Path) -> None:
    exported = export(source, tmp_path / "files", "hdf", features=["tube"])
    for file in (exported.image, exported.masks["tube"]):
        headers = eman2_hdf.read_stack_headers(file)
        assert [header["ptcl_source_coord"] for header in headers] == [
            [-40.0, -40.0, -2.0], [32.0, -40.0, -2.0], [-20.0, 20.0, 0.0], [70.0, -70.0, 1.0],
        ]  # fmt: skip
        assert {header["ptcl_source_image"] for header in headers} == {"tomograms/cell.hdf"}
        assert {header["apix_x"] for header in headers} == {10.0}
    images = open_stack(exported.masks["tube"])
    headers = eman2_hdf.read_stack_headers(exported.masks["tube"])
    kept = [{"ptcl_source_coord": header["ptcl_source_coord"]} for header in headers]
    eman2_hdf.write_image_stack(exported.masks["tube"], images[::-1], voxel_size_angstrom=10.0, attributes=kept[::-1])
    refused(source, exported.masks["tube"], "the order has changed")


def test_masks_of_255_or_signed_bytes_are_decoded(source: Project, tmp_path: Path) -> None:
    exported = export(source, tmp_path / "files", "mrc", features=["tube"])
    for low, high in ((0, 127), (-128, -127), (-128, 127)):
        rewrite(exported.masks["tube"], lambda masks, low=low, high=high: np.where(  # type: ignore[misc]
            np.arange(64) < 10, high, np.full(masks.shape, low)).astype(np.int8))  # fmt: skip
        result = import_file(source, exported.manifest)
        assert result.annotated == 4
        layer = layer_at(source, PLACES[0])
        assert (layer[:, :10] == 2).all()
        assert (layer[:, 10:] == 1).all()


def test_other_label_values_must_be_mapped(source: Project, tmp_path: Path) -> None:
    exported = export(source, tmp_path / "files", "tif", features=["tube"])
    rewrite(
        exported.masks["tube"], lambda masks: np.where(np.arange(64) < 10, 5, np.where(np.arange(64) > 50, 9, masks))
    )
    refused(source, exported.masks["tube"], r"2 values besides 0: 5 \(2,560\), 9 \(3,328\)", UsageError)
    from tomoseg_tui.core.label_map import parse_label_map

    result = import_file(source, exported.masks["tube"], labels=parse_label_map(["5=tube", "9=ignore"]))
    assert result.annotated == 4
    layer = layer_at(source, PLACES[0])
    assert np.bincount(layer.ravel(), minlength=4).tolist() == [0, 64 * 41, 64 * 10, 64 * 13]


def test_pngs_saved_in_colour_are_imported(source: Project, tmp_path: Path) -> None:
    layers = paint_some(source)
    exported = export(source, tmp_path / "files", "png", features=["tube"])
    for file in png_files(exported.masks["tube"]):
        with Image.open(file) as image:
            assert image.mode == "P"
            colours = image.getpalette() or []
            assert colours[: 3 * len(PALETTE)] == [part for colour in PALETTE for part in colour]
            image.convert("RGBA").save(file)
    source.layout.annotation(PLACES[0], "tube").unlink()
    import_file(source, exported.manifest)
    np.testing.assert_array_equal(layer_at(source, PLACES[0]), layers[PLACES[0], "tube"])


# The manifest


def test_the_manifest_describes_the_export(source: Project, tmp_path: Path) -> None:
    paint_some(source)
    exported = export(source, tmp_path / "files", "mrc")
    told = json.loads(exported.manifest.read_text())
    assert exported.manifest.name == "out.tiles.json"
    assert (told["format"], told["form"], told["kind"], told["shape"]) == (1, "mrc", "tiles", [4, 64, 64])
    assert told["values"] == {"not feature": 0, "feature": 1, "ignore": 2, "not looked at": 3}
    assert told["image"] == "out.mrc"
    assert told["masks"] == [{"feature": f, "file": f"out_{f}.mrc"} for f in FEATURES]
    assert [tile["id"] for tile in told["tiles"]] == [place.id for place in PLACES]
    assert "row 0" in told["y"]
    with open_volume(exported.image) as reader:
        tile = reader.read_slices(0, 1)[0]
    cut = noise(SHAPE)[1, 8:72, 8:72].astype(float)
    assert np.corrcoef(tile.ravel(), cut.ravel())[0, 1] > 0.9999
    assert abs(tile.std() - 1) < 0.1
    exported.manifest.write_text(json.dumps({**told, "format": 2}))
    refused(source, exported.manifest, "of a newer format", ProjectError)
    exported.manifest.write_text("{}")
    refused(source, exported.manifest, "is not a manifest", ProjectError)
