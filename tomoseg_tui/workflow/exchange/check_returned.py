"""Read files that other tools return after an export, and check that every image still belongs to its tile.

The check uses the exported densities, EMAN2's headers, the names of PNGs, and unchanged masks.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE
from tomoseg_tui.core.image_matching import (
    AS_EXPORTED,
    MIN_CORRELATION,
    ORIENTATIONS,
    VOLUME_ORIENTATIONS,
    ImageMatch,
    Turn,
    correlation,
    find_orientation,
    match_images,
)
from tomoseg_tui.core.mask_decoding import EMAN2_PAINTED, painted_mask
from tomoseg_tui.core.mask_encoding import decode_colours
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import ShapeError, UnreadableTomogramError, UsageError
from tomoseg_tui.io.eman2_hdf import read_stack_headers
from tomoseg_tui.io.export_manifest import ExportManifest, image_digest
from tomoseg_tui.io.formats import is_png, open_stack, open_volume
from tomoseg_tui.io.png import png_files
from tomoseg_tui.io.turned_volume import TurnedVolume
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.exchange.export_formats import eman2_coordinates, png_name, tile_images, tile_window

_CLEAR_MARGIN = 0.25
"""Correlation by which changed masks must fit the annotations better in another direction than as they are."""
_FIX = "Give the files that were exported with this manifest, with all images in the same size and order."


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
    exported: ExportedTiles,
    path: Path,
    feature: str,
    image: Path | None,
    *,
    colours: bool = False,
    turn: Turn = Turn(),  # noqa: B008  # frozen
) -> ReturnedMasks:
    """Read masks, and restore their original orientation.

    Parameters
    ----------
    path : Path
        The file, or the folder of PNGs; for EMAN2 also the painted stack of densities.
    colours : bool
        Read the colours of indexed PNGs instead of their indices.
    turn : Turn
        A change of direction that the user knows of; undone first.

    Raises
    ------
    ShapeError
        If length, size, order or orientation differ in a way that cannot be undone; the message says how.
    """
    if exported.manifest.slices is not None:
        return _read_slices(exported, path, feature, image, turn)
    return _read_stack(exported, path, feature, image, turn, colours=colours)


def _choose_orientation(
    by_image: ImageMatch | None, by_masks: Sequence[str], path: Path
) -> tuple[str, tuple[str, ...]]:
    """Return the orientation according to images and masks, and a remark.

    Parameters
    ----------
    by_image : ImageMatch or None
        Match of the returned densities.
    by_masks : sequence of str
        Orientations in which unchanged or overlapping masks fit; empty if that is unknown.
    """
    image_orientation = by_image.orientation if by_image is not None and by_image.matched_count else ""
    if not by_masks and not image_orientation:
        return AS_EXPORTED, (
            f"No densities came back with {path.name}: order and direction of y are assumed to be as exported.",
        )
    orientation = image_orientation or by_masks[0]
    if by_masks and orientation not in by_masks:
        if image_orientation != AS_EXPORTED:  # else they are the exported ones, which no program has saved
            masks_text = "did not" if AS_EXPORTED in by_masks else f"came back {by_masks[0]}"
            raise ShapeError(
                f"The densities beside {path.name} came back {image_orientation}, but its masks {masks_text}.",
                "Give densities and masks with the same direction of y.",
            )
        orientation = by_masks[0]
    if orientation == AS_EXPORTED:
        return AS_EXPORTED, ()
    return orientation, (f"{path.name} came back {orientation}, which was undone.",)


def _fitting_orientations(
    exported: ExportedTiles, oriented: Mapping[str, Sequence[NDArray[Any]]], feature: str, path: Path
) -> list[str]:
    """Return the orientations in which the masks are those that were exported, as exported first; empty if unknown.

    Parameters
    ----------
    oriented : mapping of str to sequence of ndarray
        The masks of all tiles after undoing each orientation.
    """
    digests = {
        orientation: [image_digest(mask) if mask.any() and not mask.all() else "" for mask in map(_to_uint8, masks)]
        for orientation, masks in oriented.items()
    }
    entries = [tile.masks.get(feature) for tile in exported.manifest.tiles]
    fitting = [
        {orientation for orientation in oriented if entry is not None and digests[orientation][number] == entry.digest}
        for number, entry in enumerate(entries)
    ]
    _require_same_order(exported, digests, fitting, feature, path)
    known = [orientations for orientations in fitting if orientations]
    if not known:
        return _overlapping_orientations(exported, oriented, feature)
    common = set.intersection(*known)
    if not common:
        names = " or ".join(min(orientations, key=list(oriented).index) for orientations in known[:2])
        raise ShapeError(f"Not all masks of {path.name} came back in one direction: {names}.", _FIX)
    return [orientation for orientation in oriented if orientation in common]


def _overlapping_orientations(
    exported: ExportedTiles, oriented: Mapping[str, Sequence[NDArray[Any]]], feature: str
) -> list[str]:
    """Return the orientation in which changed masks overlap far better with the annotations than as they are."""
    fits: dict[str, list[float]] = {orientation: [] for orientation in oriented}
    for number, location in enumerate(exported.places):
        layer = read_layer(exported.project.layout, location, feature) if feature else None
        if layer is not None:
            for orientation, masks in oriented.items():
                mask = masks[number] == masks[number].max()
                fits[orientation].append(correlation(mask, layer == FEATURE))
    means = {orientation: _mean_of_finite(values) for orientation, values in fits.items()}
    best = max(means, key=lambda orientation: means[orientation])
    is_clear = means[best] >= MIN_CORRELATION and means[best] >= means.get(AS_EXPORTED, 0) + _CLEAR_MARGIN
    return [best] if is_clear else []


def _mean_of_finite(values: Sequence[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return sum(finite) / len(finite) if finite else 0.0


# Stacks


def _read_stack(
    exported: ExportedTiles, path: Path, feature: str, image: Path | None, turn: Turn, *, colours: bool
) -> ReturnedMasks:
    values = turn.undo(_load_stack(exported, path, colours=colours))
    _check_headers(exported, path)
    if path.name == exported.manifest.image and _require_painted(values):
        mask = painted_mask(values, name=path.name)
        match = _match_images(exported, np.where(mask, 0, values), path.name)
        orientation, remarks = _choose_orientation(match, [], path)
        values = mask.astype(np.uint8)
        remarks = (f"{path.name}: 99 and above is taken as painted, as in EMAN2.", *remarks)
    else:
        values = decode_colours(values)
        by_image = None if image is None else _match_images(exported, _load_stack(exported, image), image.name)
        oriented = {name: list(turned.undo(values)) for name, turned in ORIENTATIONS.items()}
        by_masks = _fitting_orientations(exported, oriented, feature, path)
        orientation, remarks = _choose_orientation(by_image, by_masks, path)
    masks = ORIENTATIONS[orientation].undo(values)
    return ReturnedMasks(list(masks), [np.ones(mask.shape, np.bool_) for mask in masks], remarks)


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
    return match_images(images.astype(np.float32), tiles, exported.names, label=file_name)


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


def _require_same_order(
    exported: ExportedTiles,
    digests: Mapping[str, Sequence[str]],
    fitting: Sequence[Collection[str]],
    feature: str,
    path: Path,
) -> None:
    """Raise ShapeError for masks in the place of another tile; a mask that was copied is also in its own place."""
    owners: dict[str, int] = {}
    for number, tile in enumerate(exported.manifest.tiles):
        if feature in tile.masks and not fitting[number]:
            owners.setdefault(tile.masks[feature].digest, number)
    moved = {
        number: owners[own_digests[number]]
        for own_digests in digests.values()
        for number, is_in_place in enumerate(fitting)
        if not is_in_place and own_digests[number] in owners
    }
    if moved:
        lines = "; ".join(
            f"mask {n + 1} is that of {exported.names[o]}, not {exported.names[n]}" for n, o in list(moved.items())[:4]
        )
        raise ShapeError(f"{path.name} has {len(moved)} masks in another order: {lines}.", _FIX)


def _to_uint8(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return masks in the type of the digests; other values match no digest."""
    finite = np.nan_to_num(values.astype(np.float64), nan=255)
    return np.where((finite == np.rint(finite)) & (finite >= 0) & (finite < 255), finite, 255).astype(np.uint8)


# Slices


def _read_slices(exported: ExportedTiles, path: Path, feature: str, image: Path | None, turn: Turn) -> ReturnedMasks:
    by_image = None if image is None else _match_slices(exported, image)
    with TurnedVolume(open_volume(path, flat=True), turn) as reader:
        volumes = _oriented_volumes(exported, reader)
        oriented = {
            name: [_read_window(volume, exported, location)[0] for location in exported.places]
            for name, volume in volumes.items()
        }
        by_masks = _fitting_orientations(exported, oriented, feature, path)
        orientation, remarks = _choose_orientation(by_image, by_masks, path)
        if orientation not in volumes:
            raise ShapeError(
                f"{path.name} has shape {reader.grid.shape_zyx}, expected {exported.manifest.shape} (z, y, x): x and y "
                "are swapped, and nothing shows whether it is turned too.",
                "Say how it is to be read: --flip transpose, and --flip y or --flip x if needed.",
            )
        inside = [_read_window(volumes[orientation], exported, location)[1] for location in exported.places]
        outside_count = sum(_count_outside_tiles(volumes[orientation], exported))
    if outside_count:
        remarks = (
            *remarks,
            f"{path.name} has {outside_count:,} voxels marked outside all tiles; they are not imported.",
        )
    return ReturnedMasks(oriented[orientation], inside, remarks)


def _oriented_volumes(exported: ExportedTiles, reader: VolumeReader) -> dict[str, TurnedVolume]:
    """Return the volume after undoing each orientation in which it has the shape of the export."""
    turned = {name: TurnedVolume(reader, turn) for name, turn in VOLUME_ORIENTATIONS.items()}
    fitting = {name: volume for name, volume in turned.items() if volume.grid.shape_zyx == exported.manifest.shape}
    if not fitting:
        raise ShapeError(
            f"{reader.path.name} has shape {reader.grid.shape_zyx}, expected {exported.manifest.shape} (z, y, x).", _FIX
        )
    return fitting


def _read_window(
    reader: VolumeReader, exported: ExportedTiles, location: TileLocation
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the values within a tile, 0 outside, and which pixels are inside."""
    _, height, width = reader.grid.shape_zyx
    (rows, columns), part = tile_window(location, (height, width))
    start = exported.manifest.slices.start if exported.manifest.slices is not None else 0
    values = np.zeros((location.size, location.size), reader.dtype)
    inside = np.zeros((location.size, location.size), np.bool_)
    shape = (1, rows.stop - rows.start, columns.stop - columns.start)
    values[part] = reader.read_region((location.z - start, rows.start, columns.start), shape)[0]
    inside[part] = True
    return values, inside


def _match_slices(exported: ExportedTiles, path: Path) -> ImageMatch:
    """Match returned slices to the tiles within them."""
    tiles = tile_images(exported.project, exported.places)
    correlations: dict[str, list[float]] = {}
    with open_volume(path, flat=True) as reader:
        for orientation, volume in _oriented_volumes(exported, reader).items():
            cuts = [_read_window(volume, exported, location) for location in exported.places]
            correlations[orientation] = [
                correlation(values[inside], tile[inside]) for (values, inside), tile in zip(cuts, tiles, strict=True)
            ]
    match = find_orientation(correlations)
    if match is None:
        first = next(iter(correlations))
        mismatched = next(
            name for name, value in zip(exported.names, correlations[first], strict=True) if not value >= 0.5
        )
        raise ShapeError(f"{path.name} does not show {mismatched} where it was exported.", _FIX)
    return match


def _count_outside_tiles(reader: VolumeReader, exported: ExportedTiles) -> Iterator[int]:
    """Yield for each slice the number of voxels marked outside all tiles."""
    depth, height, width = reader.grid.shape_zyx
    start = exported.manifest.slices.start if exported.manifest.slices is not None else 0
    for z in range(depth):
        plane = reader.read_slices(z, z + 1)[0]
        is_outside = plane != min(0, plane.min())  # signed bytes may have -128 for 0
        for location in exported.places:
            if location.z - start == z:
                is_outside[tile_window(location, (height, width))[0]] = False
        yield int(is_outside.sum())
