"""Checks of annotations, on generated tiles and on the sample data."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, IGNORED, Layer, fill_unlabelled
from tomoseg_tui.core.paint_tools import brush_mask, rectangle_mask
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.workflow.annotations.questions import confident_pixels, speck_sizes, unlabelled_similar_density

BAND = rectangle_mask((64, 64), (24, 0), (39, 63))


def dark_band() -> NDArray[np.float32]:
    """Return noise with a dark band."""
    return (np.random.default_rng(7).standard_normal((64, 64)) - 2 * BAND).astype(np.float32)


def painted(mask: NDArray[np.bool_]) -> Layer:
    return np.where(mask, FEATURE, 0).astype(np.uint8)


def test_an_unlabelled_part_of_a_band_is_reported_before_and_after_marking_done() -> None:
    left_out = BAND & rectangle_mask((64, 64), (0, 40), (63, 63))
    layer = painted(BAND & ~left_out)
    for reported in (
        unlabelled_similar_density(dark_band(), layer),
        unlabelled_similar_density(dark_band(), fill_unlabelled(layer)),
    ):
        assert reported.sum() > 80
        assert (reported & left_out).sum() > 0.9 * reported.sum()


def test_a_complete_mask_is_not_reported() -> None:
    assert not unlabelled_similar_density(dark_band(), painted(BAND)).any()
    assert not unlabelled_similar_density(-dark_band(), painted(BAND)).any()


def test_ignored_pixels_are_not_reported() -> None:
    layer = painted(BAND)
    layer[:, 40:][BAND[:, 40:]] = IGNORED
    assert not unlabelled_similar_density(dark_band(), layer).any()


def test_a_mask_without_contrast_or_background_reports_nothing() -> None:
    flat = np.random.default_rng(7).standard_normal((64, 64)).astype(np.float32)
    assert not unlabelled_similar_density(flat, painted(BAND)).any()
    assert not unlabelled_similar_density(np.zeros_like(flat), painted(BAND)).any()
    assert not unlabelled_similar_density(dark_band(), painted(np.ones_like(BAND))).any()
    assert not unlabelled_similar_density(dark_band(), painted(np.zeros_like(BAND))).any()


def test_specks_are_reported_unless_they_touch_the_border() -> None:
    mask = brush_mask((64, 64), (30, 30), 9)
    mask[5, 5] = mask[9, 9] = mask[10, 10] = mask[0, 40] = True
    assert speck_sizes(painted(mask)) == [1, 2]
    assert speck_sizes(painted(np.zeros((64, 64), np.bool_))) == []


def test_a_network_is_confident_of_a_region_not_of_a_few_pixels() -> None:
    opinion = np.zeros((64, 64), np.float32)
    opinion[:3, :10] = 0.95
    assert not confident_pixels(opinion).any()
    opinion[:4, :10] = 0.95
    assert confident_pixels(opinion).sum() == 40


def test_true_masks_of_the_sample_data_are_seldom_reported(sample_data: Path) -> None:
    """Of 32 true masks 2 are reported; of masks with one half left out, more than twice as many."""
    reported, reported_of_half = 0, 0
    for grey, truth in sample_tiles(sample_data):
        reported += bool(unlabelled_similar_density(grey, painted(truth)).any())
        half = truth & rectangle_mask((64, 64), (0, 0), (63, int(np.median(np.nonzero(truth)[1]))))
        reported_of_half += bool(unlabelled_similar_density(grey, painted(half)).any())
    assert reported <= 3
    assert reported_of_half > 2 * reported


def sample_tiles(folder: Path) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    """Yield the mean of three slices and the truth of each positive tile."""
    with open_volume(folder / "cell_a.mrc") as volume, open_volume(folder / "cell_a_labels.mrc.gz") as labels:
        whole = volume.read_region((0, 0, 0), volume.grid.shape_zyx).astype(np.float32)
        truth = labels.read_region((0, 0, 0), labels.grid.shape_zyx)
    whole = (whole - whole.mean()) / whole.std()
    for row in csv.DictReader((folder / "tiles.csv").read_text().splitlines()):
        if row["kind"] == "positive":
            z, y, x = int(row["z"]), int(row["y"]) - 32, int(row["x"]) - 32
            window = np.s_[max(y, 0) : y + 64, max(x, 0) : x + 64]
            label = 1 if row["feature"] == "microtubule" else 2
            if truth[z][window].shape == (64, 64):
                yield whole[z - 1 : z + 2].mean(axis=0)[window], truth[z][window] == label
