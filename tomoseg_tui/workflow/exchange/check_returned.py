"""Read what other tools have made of an export, and make sure that every image is still that of its tile.

What tells: the densities that travel along, the headers of EMAN2, the names of PNGs, and masks that nobody has changed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.image_matching import AS_IT_WAS, FLIPPED, Recognised, likeness, recognise, recognise_turn
from tomoseg_tui.core.mask_decoding import PAINTED, painted
from tomoseg_tui.core.mask_encoding import codes_of_colours
from tomoseg_tui.core.tiles import Place
from tomoseg_tui.errors import ShapeError, UnreadableTomogramError, UsageError
from tomoseg_tui.io.eman2_hdf import read_stack_headers
from tomoseg_tui.io.export_manifest import TileEntry, TileManifest, digest_of_image
from tomoseg_tui.io.formats import is_png, open_stack, open_volume
from tomoseg_tui.io.png import png_files
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.exchange.export_formats import eman2_coordinates, png_name, tile_images, window_of

_FIX = "Give the files that were exported with this manifest, their images neither cut, sorted nor left out."
_VOLUME_TURNS: Mapping[str, tuple[int, int, int]] = {
    AS_IT_WAS: (1, 1, 1),
    FLIPPED: (1, -1, 1),
    "mirrored in x": (1, 1, -1),
    "turned by 180 degrees": (1, -1, -1),
    "with its slices in reverse order": (-1, 1, 1),
    "flipped in y and with its slices in reverse order": (-1, -1, 1),
}
"""Step along z, y, x that undoes each turn."""


@dataclass(frozen=True)
class Sent:
    """An export as its manifest tells, and what the project knows of it now."""

    project: Project
    manifest: TileManifest

    @property
    def places(self) -> list[Place]:
        """The tiles in the order of the images."""
        return [Place(tile.tomogram, tile.z, tile.y, tile.x, tile.size) for tile in self.manifest.tiles]

    @property
    def names(self) -> list[str]:
        """Their ids."""
        return [tile.id for tile in self.manifest.tiles]


@dataclass(frozen=True, eq=False)
class Returned:
    """Masks as they came back, cut at the tiles and turned back."""

    masks: Sequence[NDArray[Any]]
    """One a tile, shape (size, size), in the numbers of the file."""
    inside: Sequence[NDArray[np.bool_]]
    """Where the tile lies in the volume."""
    remarks: tuple[str, ...] = ()


def read_returned(sent: Sent, path: Path, feature: str, image: Path | None, *, colours: bool = False) -> Returned:
    """Read masks and turn them as they were.

    Parameters
    ----------
    sent : Sent
    path : Path
        The file, or the folder of PNGs; for EMAN2 also the stack of densities that was painted on.
    feature : str
        Whose masks they are.
    image : Path or None
        The densities that have travelled along.
    colours : bool
        Whether indexed PNGs are told by their colours.

    Raises
    ------
    ShapeError
        If length, size, order or direction differ in a way that is not undone; the message says how.
    """
    read = _read_slices if sent.manifest.slices is not None else _read_stack
    return read(sent, path, feature, image, colours=colours)


def _flip_words(path: Path) -> str:
    return f"{path.name} came back flipped in y, and was turned back."


def _refuse_turn(found: Recognised, what: str) -> None:
    if found.turn not in {AS_IT_WAS, FLIPPED}:
        raise ShapeError(f"{what} came back {found.turn}.", "Turn images and masks back before they are imported.")


def _is_flipped(by_image: Recognised | None, by_masks: str, path: Path) -> tuple[bool, tuple[str, ...]]:
    """Weigh what images and masks say of the direction of y."""
    if by_image is not None and by_image.told and by_image.turn == FLIPPED and by_masks == AS_IT_WAS:
        raise ShapeError(
            f"The densities beside {path.name} came back flipped in y, but its masks did not.",
            "Give densities and masks of one and the same direction.",
        )
    flipped = by_masks == FLIPPED or (by_image is not None and by_image.turn == FLIPPED)
    if flipped:
        return True, (_flip_words(path),)
    if not by_masks and (by_image is None or not by_image.told):
        return False, (
            f"No densities have come back with {path.name}: order and direction of y are taken as they were exported.",
        )
    return False, ()


# Stacks


def _read_stack(sent: Sent, path: Path, feature: str, image: Path | None, *, colours: bool) -> Returned:
    values = _stack(sent, path, colours=colours)
    _check_headers(sent, path)
    if path.name == sent.manifest.image and _is_painted(values):
        mask = painted(values, name=path.name)
        found = _recognise(sent, np.where(mask, 0, values), path.name)
        flipped, remarks = _is_flipped(found, "", path)
        values = mask.astype(np.uint8)
        remarks = (f"{path.name}: 99 and above is taken as painted, as EMAN2 does.", *remarks)
    else:
        values = codes_of_colours(values)
        by_image = None if image is None else _recognise(sent, _stack(sent, image), image.name)
        flipped, remarks = _is_flipped(by_image, _told_by_masks(sent, values, feature, path), path)
    turned = values[:, ::-1] if flipped else values
    return Returned(list(turned), [np.ones(mask.shape, np.bool_) for mask in turned], remarks)


def _is_painted(values: NDArray[Any]) -> bool:
    if not (values >= PAINTED).any():
        raise UsageError("The stack of densities came back with nothing painted on it.", "Give the file of masks.")
    return True


def _stack(sent: Sent, path: Path, *, colours: bool = False) -> NDArray[Any]:
    """Read a stack and compare its length and size with the manifest's."""
    if is_png(path) and path.is_dir():
        _check_names(sent, path)
    stack = open_stack(path, colours=colours)
    count, height, width = sent.manifest.shape
    if stack.shape != sent.manifest.shape:
        raise ShapeError(
            f"{path.name} holds {len(stack)} images of {stack.shape[2]} x {stack.shape[1]} pixels (x, y), "
            f"exported were {count} of {width} x {height}.",
            _FIX,
        )
    return stack


def _check_names(sent: Sent, folder: Path) -> None:
    """Compare the names of PNGs, by which they are known."""
    there = [file.name for file in png_files(folder)]
    wanted = [png_name(number, place) for number, place in enumerate(sent.places, start=1)]
    missing, strange = sorted(set(wanted) - set(there)), sorted(set(there) - set(wanted))
    if missing or strange:
        parts = [f"{len(names)} {word}, such as {names[0]}" for names, word in ((missing, "missing"), (strange, "more"))
                 if names]  # fmt: skip
        raise ShapeError(f"{folder.name} does not hold the PNGs that were exported: {'; '.join(parts)}.", _FIX)


def _recognise(sent: Sent, images: NDArray[Any], what: str) -> Recognised:
    """Compare densities that came back with those of the tiles."""
    if all(digest_of_image(image) == tile.image for image, tile in zip(images, sent.manifest.tiles, strict=True)):
        return Recognised(AS_IT_WAS, len(images))
    tiles = np.stack(tile_images(sent.project, sent.places))  # (n, y, x)
    found = recognise(images.astype(np.float32), tiles, sent.names, what=what)
    _refuse_turn(found, what)
    return found


def _check_headers(sent: Sent, path: Path) -> None:
    """Compare the coordinates that EMAN2 keeps with each image, where it has kept them."""
    try:
        headers = read_stack_headers(path)
    except UnreadableTomogramError:
        return  # not EMAN2's
    for number, (header, place) in enumerate(zip(headers, sent.places, strict=False), start=1):
        found = header.get("ptcl_source_coord")
        if not isinstance(found, list):
            continue
        wanted = eman2_coordinates(place, catalog.tomogram(sent.project.layout, place.tomogram))
        if [round(float(part)) for part in found] != [round(part) for part in wanted]:
            raise ShapeError(
                f"Image {number} of {path.name} lies at {found} by its header, {place.id} at {wanted} "
                "(x, y, z from the middle): the order is another.",
                _FIX,
            )


def _told_by_masks(sent: Sent, values: NDArray[Any], feature: str, path: Path) -> str:
    """Return what masks that nobody has changed tell of the direction: as it was, flipped, or empty for nothing."""
    own = [digest_of_image(mask) if mask.any() and not mask.all() else "" for mask in _as_bytes(values)]
    known = [tile.masks.get(feature) for tile in sent.manifest.tiles]
    same = [fact is not None and found == fact.digest for found, fact in zip(own, known, strict=True)]
    flipped = [
        fact is not None and found == fact.flipped and found != fact.digest
        for found, fact in zip(own, known, strict=True)
    ]
    _refuse_moved(sent, own, same, flipped, feature, path)
    if any(flipped) and any(same):
        raise ShapeError(f"Some masks of {path.name} came back flipped in y and others not.", _FIX)
    return FLIPPED if any(flipped) else AS_IT_WAS if any(same) else ""


def _refuse_moved(
    sent: Sent, own: Sequence[str], same: Sequence[bool], flipped: Sequence[bool], feature: str, path: Path
) -> None:
    """Refuse masks that stand in the place of another tile; one that was copied still stands in its own place too."""
    places: dict[str, list[int]] = {}
    for other, tile in enumerate(sent.manifest.tiles):
        if feature in tile.masks and not (same[other] or flipped[other]):
            for digest in {tile.masks[feature].digest, tile.masks[feature].flipped}:
                places.setdefault(digest, []).append(other)
    moved = [
        (number, places[found][0])
        for number, found in enumerate(own)
        if found in places and not (same[number] or flipped[number])
    ]
    if moved:
        lines = "; ".join(f"mask {n + 1} is that of {sent.names[o]}, not {sent.names[n]}" for n, o in moved[:4])
        raise ShapeError(f"{path.name} has {len(moved)} masks in another order: {lines}.", _FIX)


def _as_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return masks in the type in which they were digested; what does not fit matches no digest."""
    whole = np.nan_to_num(values.astype(np.float64), nan=255)
    return np.where((whole == np.rint(whole)) & (whole >= 0) & (whole < 255), whole, 255).astype(np.uint8)


# Slices


def _read_slices(sent: Sent, path: Path, feature: str, image: Path | None, *, colours: bool) -> Returned:
    del colours
    by_image = None if image is None else _recognise_slices(sent, image)
    with _slices(sent, path) as reader:
        windows = {turn: [_cut(reader, sent, place, turn)[0] for place in sent.places] for turn in (AS_IT_WAS, FLIPPED)}
        flipped, remarks = _is_flipped(by_image, _told_by_windows(sent, windows, feature), path)
        turn = FLIPPED if flipped else AS_IT_WAS
        inside = [_cut(reader, sent, place, turn)[1] for place in sent.places]
        beyond = sum(_marked_beyond(reader, sent, turn))
    if beyond:
        remarks = (*remarks, f"{path.name} has {beyond:,} voxels marked outside of all tiles: they are not taken.")
    return Returned(windows[turn], inside, remarks)


def _slices(sent: Sent, path: Path) -> VolumeReader:
    reader = open_volume(path, flat=True)
    if reader.grid.shape_zyx != sent.manifest.shape:
        reader.close()
        raise ShapeError(
            f"{path.name} has shape {reader.grid.shape_zyx}, exported was {sent.manifest.shape} (z, y, x).", _FIX
        )
    return reader


def _cut(reader: VolumeReader, sent: Sent, place: Place, turn: str) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return what lies under a tile once the volume is turned back, 0 outside, and which pixels lie inside."""
    depth, height, width = reader.grid.shape_zyx
    (rows, columns), part = window_of(place, (height, width))
    steps = _VOLUME_TURNS[turn]
    start = sent.manifest.slices.start if sent.manifest.slices is not None else 0
    spans = [(place.z - start, place.z - start + 1), (rows.start, rows.stop), (columns.start, columns.stop)]
    turned = [
        span if step == 1 else (length - span[1], length - span[0])
        for span, step, length in zip(spans, steps, (depth, height, width), strict=True)
    ]
    (z0, _), (y0, y1), (x0, x1) = turned
    values = np.zeros((place.size, place.size), reader.dtype)
    inside = np.zeros((place.size, place.size), np.bool_)
    values[part] = reader.read_region((z0, y0, x0), (1, y1 - y0, x1 - x0))[0, :: steps[1], :: steps[2]]
    inside[part] = True
    return values, inside


def _recognise_slices(sent: Sent, path: Path) -> Recognised:
    """Compare slices that came back with the tiles that lie in them."""
    tiles = tile_images(sent.project, sent.places)
    own: dict[str, list[float]] = {}
    with _slices(sent, path) as reader:
        for turn in _VOLUME_TURNS:
            cuts = [_cut(reader, sent, place, turn) for place in sent.places]
            own[turn] = [
                likeness(values[inside], tile[inside]) for (values, inside), tile in zip(cuts, tiles, strict=True)
            ]
    found = recognise_turn(own)
    if found is None:
        strange = next(name for name, like in zip(sent.names, own[AS_IT_WAS], strict=True) if not like >= 0.5)
        raise ShapeError(f"{path.name} does not show {strange} where it was exported.", _FIX)
    _refuse_turn(found, path.name)
    return found


def _told_by_windows(sent: Sent, windows: Mapping[str, Sequence[NDArray[Any]]], feature: str) -> str:
    """Return what masks that nobody has changed tell of the direction, empty for nothing."""

    def unchanged(turn: str) -> bool:
        pairs: Iterator[tuple[NDArray[Any], TileEntry]] = zip(windows[turn], sent.manifest.tiles, strict=True)
        return any(
            mask.any() and not mask.all() and feature in tile.masks
            and digest_of_image(_as_bytes(mask)) == tile.masks[feature].digest
            for mask, tile in pairs
        )  # fmt: skip

    return AS_IT_WAS if unchanged(AS_IT_WAS) else FLIPPED if unchanged(FLIPPED) else ""


def _marked_beyond(reader: VolumeReader, sent: Sent, turn: str) -> Iterator[int]:
    """Yield by slice how many voxels are marked where no tile lies."""
    depth, height, width = reader.grid.shape_zyx
    start = sent.manifest.slices.start if sent.manifest.slices is not None else 0
    for z in range(depth):
        plane = reader.read_slices(z, z + 1)[0, :: _VOLUME_TURNS[turn][1]]
        beyond = plane != min(0, plane.min())  # bytes written signed have -128 for 0
        for place in sent.places:
            if place.z - start == z:
                beyond[window_of(place, (height, width))[0]] = False
        yield int(beyond.sum())
