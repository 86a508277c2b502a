"""Images survive being written."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tomoseg_tui.core.mask_decoding import COLOUR_OFFSET
from tomoseg_tui.errors import ShapeError, UnreadableTomogramError
from tomoseg_tui.io.png import encode_png, read_png, read_png_stack, write_mask_png, write_png

RGB = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


def test_a_png_has_every_pixel_at_its_position(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", RGB)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.format == "PNG"
        np.testing.assert_array_equal(np.asarray(picture), RGB)


def test_a_view_with_reversed_rows_is_written_in_its_order() -> None:
    with Image.open(BytesIO(encode_png(RGB[::-1]))) as picture:
        np.testing.assert_array_equal(np.asarray(picture), RGB[::-1])


def test_a_folder_that_is_missing_is_named_and_not_made(tmp_path: Path) -> None:
    with pytest.raises(UnreadableTomogramError, match=r"missing/a\.png does not exist"):
        write_png(tmp_path / "missing" / "a.png", RGB)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("odd", [RGB[..., 0], RGB[..., :2], RGB.astype(np.float32), RGB[:0]])
def test_an_array_that_is_not_an_image_is_refused(odd: NDArray[Any]) -> None:
    with pytest.raises(ShapeError, match="expected"):
        encode_png(odd)


GREYS = np.arange(12, dtype=np.uint8).reshape(3, 4)


def test_greys_and_colour_indices_are_read_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    write_mask_png(path, GREYS)
    np.testing.assert_array_equal(read_png(path), GREYS)
    numbers = GREYS % 3
    write_mask_png(path, numbers, [(0, 0, 0), (255, 0, 0), (0, 0, 255)])
    np.testing.assert_array_equal(read_png(path), numbers)
    coloured = np.array([0, COLOUR_OFFSET + 0xFF0000, COLOUR_OFFSET + 0x0000FF])[numbers]
    np.testing.assert_array_equal(read_png(path, colours=True), coloured)
    with Image.open(path) as image:
        image.convert("RGB").save(path)
    np.testing.assert_array_equal(read_png(path), coloured)


def test_sixteen_bits_are_read_and_transparent_pixels_are_0(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(GREYS.astype(np.uint16) * 1000).save(path)
    np.testing.assert_array_equal(read_png(path), GREYS.astype(np.int32) * 1000)
    rgba = np.zeros((2, 2, 4), np.uint8)
    rgba[..., 0] = 255
    rgba[0, :, 3] = 255
    Image.fromarray(rgba).save(path)
    np.testing.assert_array_equal(read_png(path), [[COLOUR_OFFSET + 0xFF0000] * 2, [0, 0]])


def test_an_indexed_mask_of_two_greys_is_read_by_its_greys(tmp_path: Path) -> None:
    write_mask_png(tmp_path / "a.png", GREYS % 2, [(255, 255, 255), (0, 0, 0)])
    np.testing.assert_array_equal(read_png(tmp_path / "a.png"), 255 * (1 - GREYS % 2))


def test_a_damaged_png_and_a_folder_of_unequal_ones_are_refused(tmp_path: Path) -> None:
    write_mask_png(tmp_path / "a.png", GREYS)
    content = (tmp_path / "a.png").read_bytes()
    for cut in (10, 40, len(content) - 30):
        (tmp_path / "b.png").write_bytes(content[:cut])
        with pytest.raises(UnreadableTomogramError, match=r"b\.png cannot be read: Pillow says"):
            read_png(tmp_path / "b.png")
    write_mask_png(tmp_path / "b.png", GREYS[:2])
    with pytest.raises(UnreadableTomogramError, match="PNGs of shapes"):
        read_png_stack(tmp_path)
