"""Read and write PNG: images, and masks as grey, indexed or coloured images. Independent of what they show."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tomoseg_tui.core.mask_decoding import COLOUR_OFFSET
from tomoseg_tui.errors import ShapeError, UnreadableTomogramError
from tomoseg_tui.io.raw_volume import output_file, translate_library_errors, translate_os_errors

MAX_PIXELS = 1 << 26
"""A larger image would take gigabytes."""


def encode_png(rgb: NDArray[np.uint8]) -> bytes:
    """Encode an image as PNG.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (y, x, 3)
        Red, green, blue; row 0 is the top of the image.

    Returns
    -------
    bytes
        The PNG file, lossless.

    Raises
    ------
    ShapeError
        If the array has another shape or type, or no pixels.
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0 or rgb.dtype != np.uint8:
        raise ShapeError(
            f"The image has shape {rgb.shape} and type {rgb.dtype}, expected (y, x, 3) of uint8.",
            "Give red, green and blue from 0 to 255 for each pixel.",
        )
    stream = BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb)).save(stream, format="PNG")
    return stream.getvalue()


def write_png(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write an image, uint8 of shape (y, x, 3), as a PNG file; replaces an existing file.

    Raises
    ------
    ShapeError
        If the array has another shape or type, or no pixels.
    TomogramError
        If the file cannot be written.
    """
    content = encode_png(rgb)
    with output_file(path) as draft:
        draft.write_bytes(content)


def write_mask_png(
    path: Path, values: NDArray[np.uint8], palette: Sequence[tuple[int, int, int]] | None = None
) -> None:
    """Write an image of bytes as PNG; replaces an existing file.

    Parameters
    ----------
    values : ndarray of uint8, shape (y, x)
        Grey values, or indices of colours; row 0 is the top of the image.
    palette : sequence of (red, green, blue), optional
        The colours; without it values are grey values.

    Raises
    ------
    TomogramError
        If the file cannot be written.
    """
    image = Image.fromarray(np.ascontiguousarray(values))
    if palette is not None:
        image.putpalette([channel for colour in palette for channel in colour])
    with output_file(path) as draft:
        image.save(draft, format="PNG")


def read_png(path: Path, *, colours: bool = False) -> NDArray[Any]:
    """Read a PNG as integers.

    Parameters
    ----------
    colours : bool
        Read the colours of an indexed image instead of its indices.

    Returns
    -------
    ndarray of integers, shape (y, x)
        Grey values; or indices of an indexed image; or colours as labels (0xRRGGBB plus `COLOUR_OFFSET` of
        `core.mask_decoding`), with black and transparent pixels 0. An image with only grey colours gives grey values.

    Raises
    ------
    UnreadableTomogramError
        If the file is damaged or not a PNG.
    """
    with translate_os_errors(path):
        content = path.read_bytes()
    with translate_library_errors(path, "Pillow"), Image.open(BytesIO(content), formats=["PNG"]) as image:
        if image.width * image.height > MAX_PIXELS:
            raise UnreadableTomogramError(
                f"{path.name} has {image.width} x {image.height} pixels; at most {MAX_PIXELS} are read.",
                "Give masks of tiles, or a volume as MRC or TIFF.",
            )
        return _pixel_values(image, colours=colours)


def _pixel_values(image: Any, *, colours: bool) -> NDArray[Any]:
    if image.mode == "P" and not colours and not _has_grey_palette(image):
        return np.asarray(image)
    if image.mode in {"1", "L", "I", "I;16", "I;16B"}:
        return np.asarray(image).astype(np.int32) if image.mode[0] == "I" else np.asarray(image.convert("L"))
    red, green, blue, alpha = (band.astype(np.int32) for band in np.moveaxis(np.asarray(image.convert("RGBA")), -1, 0))
    is_visible = alpha > 0
    rgb = (red << 16) + (green << 8) + blue
    if (((red == green) & (green == blue)) | ~is_visible).all():
        return np.where(is_visible, red, 0).astype(np.uint8)
    return np.where(is_visible & (rgb > 0), COLOUR_OFFSET + rgb, 0).astype(np.int64)


def _has_grey_palette(image: Any) -> bool:
    """Return whether an indexed image uses at most two greys: a mask, with either first."""
    image_colours = image.convert("RGB").getcolors(2)
    return image_colours is not None and all(red == green == blue for _, (red, green, blue) in image_colours)


def png_files(folder: Path) -> list[Path]:
    """Return the PNG files of a folder, sorted by name."""
    with translate_os_errors(folder):
        return sorted(entry for entry in folder.iterdir() if entry.suffix.lower() == ".png" and entry.name[0] != ".")


def read_png_stack(path: Path, *, colours: bool = False) -> NDArray[Any]:
    """Read a PNG, or all of a folder sorted by name, as a stack of shape (n, y, x); see `read_png`.

    Raises
    ------
    UnreadableTomogramError
        If there is no PNG, one is damaged, or they differ in size.
    """
    files = png_files(path) if path.is_dir() else [path]
    images = [read_png(file, colours=colours) for file in files]
    shapes = sorted({image.shape for image in images})
    if len(shapes) != 1:
        raise UnreadableTomogramError(
            f"{path} has PNGs of shapes {shapes}, expected one shape (y, x)." if shapes else f"{path} has no PNG.",
            "Give a folder of PNGs of one size.",
        )
    return np.stack(images)  # (n, y, x)
