"""Read files that other tools return after an export, and check that every image still belongs to its tile.

The check uses the exported densities, EMAN2's headers, the names of PNGs, and unchanged masks.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.image_matching import (
    AS_EXPORTED,
    FLIPPED_Y,
    ImageMatch,
    correlation,
    find_orientation,
    match_images,
)
from tomoseg_tui.core.mask_decoding import EMAN2_PAINTED, painted_mask
from tomoseg_tui.core.mask_encoding import decode_colours
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import ShapeError, UnreadableTomogramError, UsageError
from tomoseg_tui.io.eman2_hdf import read_stack_headers
from tomoseg_tui.io.export_manifest import ExportManifest, TileEntry, image_digest
from tomoseg_tui.io.formats import is_png, open_stack, open_volume
from tomoseg_tui.io.png import png_files
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.exchange.export_formats import eman2_coordinates, png_name, tile_images, tile_window

_FIX = "Give the files that were exported with this manifest, with all images in the same size and order."
_UNDO_STEPS: Mapping[str, tuple[int, int, int]] = {
    AS_EXPORTED: (1, 1, 1),
    FLIPPED_Y: (1, -1, 1),
    "mirrored in x": (1, 1, -1),
    "rotated by 180 degrees": (1, -1, -1),
    "with its slices in reverse order": (-1, 1, 1),
    "flipped in y and with its slices in reverse order": (-1, -1, 1),
}
"""Step along z, y, x that undoes each orientation."""


@dataclass(frozen=True)
class ExportedTiles:
    """An export by its manifest, with the project that it is from."""

    project: Project
    manifest: ExportManifest

    @property
    def places(self) -> list[TileLocation]:
        """The tiles in the order of the images."""
        return [TileLocation(tile.tomogram, tile.z, tile.y, tile.x, tile.size) for tile in self.manifest.tiles]

    @property
    def names(self) -> list[str]:
        """Ids of the tiles."""
        return [tile.id for tile in self.manifest.tiles]


@dataclass(frozen=True, eq=False)
class ReturnedMasks:
    """Returned masks of the tiles, in their original orientation."""

    masks: Sequence[NDArray[Any]]
    """One per tile, shape (size, size), with the values of the file."""
    inside: Sequence[NDArray[np.bool_]]
    """Which pixels are in the volume."""
    remarks: tuple[str, ...] = ()


def read_and_verify(
    exported: ExportedTiles, path: Path, feature: str, image: Path | None, *, colours: bool = False
) -> ReturnedMasks:
    """Read masks, and restore their original orientation.

    Parameters
    ----------
    path : Path
        The file, or the folder of PNGs; for EMAN2 also the painted stack of densities.
    colours : bool
        Read the colours of indexed PNGs instead of their indices.

    Raises
    ------
    ShapeError
        If length, size, order or orientation differ in a way that cannot be undone; the message says how.
    """
    read = _read_slices if exported.manifest.slices is not None else _read_stack
    return read(exported, path, feature, image, colours=colours)


def _flip_message(path: Path) -> str:
    return f"{path.name} came back flipped in y, which was undone."


def _require_orientation(match: ImageMatch, file_name: str) -> None:
    if match.orientation not in {AS_EXPORTED, FLIPPED_Y}:
        raise ShapeError(
            f"{file_name} came back {match.orientation}.", "Undo this in images and masks before the import."
        )


def _is_flipped(by_image: ImageMatch | None, by_masks: str, path: Path) -> tuple[bool, tuple[str, ...]]:
    """Return whether y is flipped according to images and masks, and remarks."""
    if (
        by_image is not None
        and by_image.matched_count
        and by_image.orientation == FLIPPED_Y
        and by_masks == AS_EXPORTED
    ):
        raise ShapeError(
            f"The densities beside {path.name} came back flipped in y, but its masks did not.",
            "Give densities and masks with the same direction of y.",
        )
    flipped = by_masks == FLIPPED_Y or (by_image is not None and by_image.orientation == FLIPPED_Y)
    if flipped:
        return True, (_flip_message(path),)
    if not by_masks and (by_image is None or not by_image.matched_count):
        return False, (
            f"No densities came back with {path.name}: order and direction of y are assumed to be as exported.",
        )
    return False, ()


# Stacks


def _read_stack(
    exported: ExportedTiles, path: Path, feature: str, image: Path | None, *, colours: bool
) -> ReturnedMasks:
    values = _load_stack(exported, path, colours=colours)
    _check_headers(exported, path)
    if path.name == exported.manifest.image and _require_painted(values):
        mask = painted_mask(values, name=path.name)
        match = _match_images(exported, np.where(mask, 0, values), path.name)
        flipped, remarks = _is_flipped(match, "", path)
        values = mask.astype(np.uint8)
        remarks = (f"{path.name}: 99 and above is taken as painted, as in EMAN2.", *remarks)
    else:
        values = decode_colours(values)
        by_image = None if image is None else _match_images(exported, _load_stack(exported, image), image.name)
        flipped, remarks = _is_flipped(by_image, _orientation_from_masks(exported, values, feature, path), path)
    oriented = values[:, ::-1] if flipped else values
    return ReturnedMasks(list(oriented), [np.ones(mask.shape, np.bool_) for mask in oriented], remarks)


def _require_painted(values: NDArray[Any]) -> bool:
    if not (values >= EMAN2_PAINTED).any():
        raise UsageError("The stack of densities came back with nothing painted on it.", "Give the file of masks.")
    return True


def _load_stack(exported: ExportedTiles, path: Path, *, colours: bool = False) -> NDArray[Any]:
    """Read a stack; raise ShapeError if its length or size differ from the manifest's."""
    if is_png(path) and path.is_dir():
        _check_names(exported, path)
    stack = open_stack(path, colours=colours)
    count, height, width = exported.manifest.shape
    if stack.shape != exported.manifest.shape:
        raise ShapeError(
            f"{path.name} contains {len(stack)} images of {stack.shape[2]} x {stack.shape[1]} pixels (x, y), "
            f"expected {count} of {width} x {height}.",
            _FIX,
        )
    return stack


def _check_names(exported: ExportedTiles, folder: Path) -> None:
    """Raise ShapeError if the names of PNGs, which identify them, differ from the exported ones."""
    existing = [file.name for file in png_files(folder)]
    expected = [png_name(number, location) for number, location in enumerate(exported.places, start=1)]
    missing, unexpected = sorted(set(expected) - set(existing)), sorted(set(existing) - set(expected))
    if missing or unexpected:
        groups = ((missing, "missing"), (unexpected, "more"))
        parts = [f"{len(names)} {label}, such as {names[0]}" for names, label in groups if names]
        raise ShapeError(f"{folder.name} does not contain the exported PNGs: {'; '.join(parts)}.", _FIX)


def _match_images(exported: ExportedTiles, images: NDArray[Any], file_name: str) -> ImageMatch:
    """Match returned densities to those of the tiles."""
    if all(image_digest(image) == tile.image for image, tile in zip(images, exported.manifest.tiles, strict=True)):
        return ImageMatch(AS_EXPORTED, len(images))
    tiles = np.stack(tile_images(exported.project, exported.places))  # (n, y, x)
    match = match_images(images.astype(np.float32), tiles, exported.names, label=file_name)
    _require_orientation(match, file_name)
    return match


def _check_headers(exported: ExportedTiles, path: Path) -> None:
    """Raise ShapeError if coordinates in EMAN2's headers, where present, differ from the tiles'."""
    try:
        headers = read_stack_headers(path)
    except UnreadableTomogramError:
        return  # not EMAN2's
    for number, (header, location) in enumerate(zip(headers, exported.places, strict=False), start=1):
        coordinates = header.get("ptcl_source_coord")
        if not isinstance(coordinates, list):
            continue
        expected = eman2_coordinates(location, catalog.load_tomogram(exported.project.layout, location.tomogram))
        if [round(float(part)) for part in coordinates] != [round(part) for part in expected]:
            raise ShapeError(
                f"Image {number} of {path.name} lies at {coordinates} by its header, {location.id} at {expected} "
                "(x, y, z from the middle): the order has changed.",
                _FIX,
            )


def _orientation_from_masks(exported: ExportedTiles, values: NDArray[Any], feature: str, path: Path) -> str:
    """Return the orientation according to unchanged masks: as exported, flipped, or empty if unknown."""
    digests = [image_digest(mask) if mask.any() and not mask.all() else "" for mask in _to_uint8(values)]
    entries = [tile.masks.get(feature) for tile in exported.manifest.tiles]
    unchanged = [
        entry is not None and own_digest == entry.digest for own_digest, entry in zip(digests, entries, strict=True)
    ]
    flipped = [
        entry is not None and own_digest == entry.flipped and own_digest != entry.digest
        for own_digest, entry in zip(digests, entries, strict=True)
    ]
    _require_same_order(exported, digests, unchanged, flipped, feature, path)
    if any(flipped) and any(unchanged):
        raise ShapeError(f"Some masks of {path.name} came back flipped in y and others not.", _FIX)
    return FLIPPED_Y if any(flipped) else AS_EXPORTED if any(unchanged) else ""


def _require_same_order(
    exported: ExportedTiles,
    digests: Sequence[str],
    unchanged: Sequence[bool],
    flipped: Sequence[bool],
    feature: str,
    path: Path,
) -> None:
    """Raise ShapeError for masks in the place of another tile; a mask that was copied is also in its own place."""
    locations: dict[str, list[int]] = {}
    for other, tile in enumerate(exported.manifest.tiles):
        if feature in tile.masks and not (unchanged[other] or flipped[other]):
            for digest in {tile.masks[feature].digest, tile.masks[feature].flipped}:
                locations.setdefault(digest, []).append(other)
    moved = [
        (number, locations[own_digest][0])
        for number, own_digest in enumerate(digests)
        if own_digest in locations and not (unchanged[number] or flipped[number])
    ]
    if moved:
        lines = "; ".join(f"mask {n + 1} is that of {exported.names[o]}, not {exported.names[n]}" for n, o in moved[:4])
        raise ShapeError(f"{path.name} has {len(moved)} masks in another order: {lines}.", _FIX)


def _to_uint8(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return masks in the type of the digests; other values match no digest."""
    finite = np.nan_to_num(values.astype(np.float64), nan=255)
    return np.where((finite == np.rint(finite)) & (finite >= 0) & (finite < 255), finite, 255).astype(np.uint8)


# Slices


def _read_slices(
    exported: ExportedTiles, path: Path, feature: str, image: Path | None, *, colours: bool
) -> ReturnedMasks:
    del colours
    by_image = None if image is None else _match_slices(exported, image)
    with _open_slices(exported, path) as reader:
        windows = {
            orientation: [_read_window(reader, exported, location, orientation)[0] for location in exported.places]
            for orientation in (AS_EXPORTED, FLIPPED_Y)
        }
        flipped, remarks = _is_flipped(by_image, _orientation_from_windows(exported, windows, feature), path)
        orientation = FLIPPED_Y if flipped else AS_EXPORTED
        inside = [_read_window(reader, exported, location, orientation)[1] for location in exported.places]
        outside_count = sum(_count_outside_tiles(reader, exported, orientation))
    if outside_count:
        remarks = (
            *remarks,
            f"{path.name} has {outside_count:,} voxels marked outside all tiles; they are not imported.",
        )
    return ReturnedMasks(windows[orientation], inside, remarks)


def _open_slices(exported: ExportedTiles, path: Path) -> VolumeReader:
    reader = open_volume(path, flat=True)
    if reader.grid.shape_zyx != exported.manifest.shape:
        reader.close()
        raise ShapeError(
            f"{path.name} has shape {reader.grid.shape_zyx}, expected {exported.manifest.shape} (z, y, x).", _FIX
        )
    return reader


def _read_window(
    reader: VolumeReader, exported: ExportedTiles, location: TileLocation, orientation: str
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the values within a tile after undoing the orientation, 0 outside, and which pixels are inside."""
    depth, height, width = reader.grid.shape_zyx
    (rows, columns), part = tile_window(location, (height, width))
    steps = _UNDO_STEPS[orientation]
    start = exported.manifest.slices.start if exported.manifest.slices is not None else 0
    spans = [(location.z - start, location.z - start + 1), (rows.start, rows.stop), (columns.start, columns.stop)]
    source_spans = [
        span if step == 1 else (length - span[1], length - span[0])
        for span, step, length in zip(spans, steps, (depth, height, width), strict=True)
    ]
    (z0, _), (y0, y1), (x0, x1) = source_spans
    values = np.zeros((location.size, location.size), reader.dtype)
    inside = np.zeros((location.size, location.size), np.bool_)
    values[part] = reader.read_region((z0, y0, x0), (1, y1 - y0, x1 - x0))[0, :: steps[1], :: steps[2]]
    inside[part] = True
    return values, inside


def _match_slices(exported: ExportedTiles, path: Path) -> ImageMatch:
    """Match returned slices to the tiles within them."""
    tiles = tile_images(exported.project, exported.places)
    correlations: dict[str, list[float]] = {}
    with _open_slices(exported, path) as reader:
        for orientation in _UNDO_STEPS:
            cuts = [_read_window(reader, exported, location, orientation) for location in exported.places]
            correlations[orientation] = [
                correlation(values[inside], tile[inside]) for (values, inside), tile in zip(cuts, tiles, strict=True)
            ]
    match = find_orientation(correlations)
    if match is None:
        mismatched = next(
            name for name, value in zip(exported.names, correlations[AS_EXPORTED], strict=True) if not value >= 0.5
        )
        raise ShapeError(f"{path.name} does not show {mismatched} where it was exported.", _FIX)
    _require_orientation(match, path.name)
    return match


def _orientation_from_windows(
    exported: ExportedTiles, windows: Mapping[str, Sequence[NDArray[Any]]], feature: str
) -> str:
    """Return the orientation according to unchanged masks, empty if unknown."""

    def is_unchanged(orientation: str) -> bool:
        pairs: Iterator[tuple[NDArray[Any], TileEntry]] = zip(
            windows[orientation], exported.manifest.tiles, strict=True
        )
        return any(
            mask.any() and not mask.all() and feature in tile.masks
            and image_digest(_to_uint8(mask)) == tile.masks[feature].digest
            for mask, tile in pairs
        )  # fmt: skip

    return AS_EXPORTED if is_unchanged(AS_EXPORTED) else FLIPPED_Y if is_unchanged(FLIPPED_Y) else ""


def _count_outside_tiles(reader: VolumeReader, exported: ExportedTiles, orientation: str) -> Iterator[int]:
    """Yield for each slice the number of voxels marked outside all tiles."""
    depth, height, width = reader.grid.shape_zyx
    start = exported.manifest.slices.start if exported.manifest.slices is not None else 0
    for z in range(depth):
        plane = reader.read_slices(z, z + 1)[0, :: _UNDO_STEPS[orientation][1]]
        is_outside = plane != min(0, plane.min())  # signed bytes may have -128 for 0
        for location in exported.places:
            if location.z - start == z:
                is_outside[tile_window(location, (height, width))[0]] = False
        yield int(is_outside.sum())
