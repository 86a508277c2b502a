"""Pictures survive being written."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tomoseg_tui.errors import ShapeError
from tomoseg_tui.io.pictures import png_bytes, write_png

RGB = np.arange(4 * 5 * 3, dtype=np.uint8).reshape(4, 5, 3)


def test_a_png_holds_every_pixel_in_its_place(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", RGB)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.format == "PNG"
        np.testing.assert_array_equal(np.asarray(picture), RGB)


def test_a_view_with_turned_rows_is_written_as_it_looks() -> None:
    with Image.open(BytesIO(png_bytes(RGB[::-1]))) as picture:
        np.testing.assert_array_equal(np.asarray(picture), RGB[::-1])


@pytest.mark.parametrize("odd", [RGB[..., 0], RGB[..., :2], RGB.astype(np.float32), RGB[:0]])
def test_what_is_no_picture_is_refused(odd: NDArray[Any]) -> None:
    with pytest.raises(ShapeError, match="expected"):
        png_bytes(odd)
