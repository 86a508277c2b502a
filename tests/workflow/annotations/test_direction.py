"""A volume of masks that is flipped is noticed by its outlines, and read as the user says."""

from pathlib import Path

import numpy as np
import pytest
from helpers.cli_runner import bring, write_mrc
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from tomoseg_tui.core.image_matching import VOLUME_ORIENTATIONS
from tomoseg_tui.core.label_map import parse_label_map
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import ShapeError
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.exchange.import_masks import MaskImportRequest, import_masks_from_file
from tomoseg_tui.workflow.tiles.placing import place_tiles, tile_placement

SHAPE = (8, 128, 128)
PLACE = TileLocation("cell", 4, 64, 64, 64)


def labels_and_densities(contrast: float) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return blobs at random, and noise that is darker in them."""
    generator = np.random.default_rng(4)
    labels = gaussian_filter(generator.normal(size=SHAPE), (1, 4, 4)) > 0.03
    densities = generator.normal(size=SHAPE) - contrast * labels
    return labels.astype(np.uint8), densities.astype(np.float32)


@pytest.fixture
def labels(project: Project) -> NDArray[np.uint8]:
    values, densities = labels_and_densities(contrast=0.7)
    bring(project, "cell", densities)
    place_tiles(project, [tile_placement(PLACE, "tube", negative=False)])
    return values


def import_volume(project: Project, path: Path, *flip: str) -> NDArray[np.bool_]:
    request = MaskImportRequest(path, tomogram="cell", labels=parse_label_map(["1=tube"]), flip=flip, replace=True)
    import_masks_from_file(project, request)
    layer = read_layer(project.layout, PLACE, "tube")
    assert layer is not None
    return np.asarray(layer == 2)


@pytest.mark.parametrize("orientation", list(VOLUME_ORIENTATIONS)[1:])
def test_a_flipped_volume_is_refused_and_read_with_the_option_that_is_named(
    project: Project, labels: NDArray[np.uint8], tmp_path: Path, orientation: str
) -> None:
    turned = VOLUME_ORIENTATIONS[orientation].undo(labels)
    path = write_mrc(tmp_path / "labels.mrc", np.ascontiguousarray(turned).astype(np.int8))
    with pytest.raises(ShapeError, match="fits the densities of cell much better") as caught:
        import_volume(project, path)
    flips = [word for word in caught.value.fix.split(", or ")[0].split() if word in {"y", "x", "z", "transpose"}]
    np.testing.assert_array_equal(import_volume(project, path, *flips), labels[4, 32:96, 32:96] == 1)


def test_a_volume_that_fits_is_taken_and_none_takes_any(
    project: Project, labels: NDArray[np.uint8], tmp_path: Path
) -> None:
    path = write_mrc(tmp_path / "labels.mrc", labels.astype(np.int8))
    np.testing.assert_array_equal(import_volume(project, path), labels[4, 32:96, 32:96] == 1)
    write_mrc(path, np.ascontiguousarray(labels[:, ::-1]).astype(np.int8))
    np.testing.assert_array_equal(import_volume(project, path, "none"), labels[4, ::-1][32:96, 32:96] == 1)


def test_a_mask_volume_of_one_feature_is_checked_too(
    project: Project, labels: NDArray[np.uint8], tmp_path: Path
) -> None:
    path = write_mrc(tmp_path / "mask.mrc", np.ascontiguousarray(labels[:, ::-1]).astype(np.int8))
    with pytest.raises(ShapeError, match="better flipped in y") as caught:
        import_masks_from_file(project, MaskImportRequest(path, tomogram="cell", feature="tube"))
    assert caught.value.fix == "Say how it is: --flip y, or --flip none to take it as it is."


@pytest.mark.parametrize("seed", range(3))
def test_masks_that_do_not_show_in_the_densities_are_taken_as_they_are(
    project: Project, tmp_path: Path, seed: int
) -> None:
    """Densities with structure of their own, so that chance agreements occur in every direction."""
    labels, _ = labels_and_densities(contrast=0)
    densities = gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 3).astype(np.float32)
    bring(project, "cell", densities)
    place_tiles(project, [tile_placement(PLACE, "tube", negative=False)])
    import_volume(project, write_mrc(tmp_path / "labels.mrc", labels.astype(np.int8)))
