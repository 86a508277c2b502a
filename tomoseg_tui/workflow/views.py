"""What there is to see: a slice, a tile with its layers, triples of a run. Arrays; drawing is for canvas."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE
from tomoseg_tui.core.metrics import confusion
from tomoseg_tui.core.tiles import Place
from tomoseg_tui.errors import ShapeError, UsageError
from tomoseg_tui.io.triples_file import Triples, read_triples
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import AuditedTile
from tomoseg_tui.workflow.annotations.import_annotations import cut_slice
from tomoseg_tui.workflow.volume_names import NamedVolume, find_volume

SURROUNDINGS = 128
"""Pixels shown around a voxel that was asked for."""


@dataclass(frozen=True, eq=False)
class SliceView:
    """A slice, or a part of it, and what is labelled there."""

    name: str
    z: int
    values: NDArray[np.float32]
    """Shape (y, x)."""
    labels: NDArray[np.uint8] | None
    """Shape (y, x), 0 for nothing."""
    label_names: Mapping[int, str]
    """Names of the labels, by number."""
    facts: Mapping[str, object]
    """For `show --json`."""


def look_at_slice(
    project: Project | None,
    name: str,
    *,
    z: int | None = None,
    at_xyz: tuple[int, int, int] | None = None,
    labels: str | None = None,
) -> SliceView:
    """Return a slice of a volume with the labels over it.

    Parameters
    ----------
    project : Project or None
        Where names are looked up.
    name : str
        Of a tomogram, map, label volume or file.
    z : int or None
        Slice from 0; the middle one if None, or that of `at_xyz`.
    at_xyz : tuple of int or None
        Show the surroundings of this voxel only.
    labels : str or None
        Name of a label volume or map on the same grid, to lay over; a map counts above its threshold.

    Raises
    ------
    UsageError
        If the slice or voxel lies outside.
    ShapeError
        If the labels have another shape.
    """
    found = find_volume(project, name)
    with found.open() as reader:
        shape = reader.grid.shape_zyx
        number = at_xyz[2] if at_xyz is not None and z is None else shape[0] // 2 if z is None else z
        corner, extent = _window(shape, number, at_xyz)
        raw = reader.read_region(corner, extent)[0]  # (y, x)
        facts = _facts(found, reader, number, raw)
    over, names = (None, {}) if labels is None else _labels(project, labels, shape, corner, extent)
    if found.labels is not None and labels is None:
        over, names = np.asarray(raw, np.uint8), label_names(found, raw)
        raw = np.zeros_like(raw)
    return SliceView(name, number, raw.astype(np.float32), over, names, facts)


def _window(
    shape: tuple[int, int, int], z: int, at_xyz: tuple[int, int, int] | None
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    nz, ny, nx = shape
    if not 0 <= z < nz:
        raise UsageError(f"There is no slice {z}.", f"Take one from 0 to {nz - 1}.")
    if at_xyz is None:
        return (z, 0, 0), (1, ny, nx)
    x, y, _ = at_xyz
    if not (0 <= x < nx and 0 <= y < ny):
        raise UsageError(f"x {x}, y {y} lies outside.", f"Take x 0 to {nx - 1} and y 0 to {ny - 1}.")
    top, left = (max(0, min(c - SURROUNDINGS // 2, n - SURROUNDINGS)) for c, n in ((y, ny), (x, nx)))
    return (z, top, left), (1, min(SURROUNDINGS, ny - top), min(SURROUNDINGS, nx - left))


def _facts(found: NamedVolume, reader: VolumeReader, z: int, values: NDArray[np.generic]) -> dict[str, object]:
    grid = found.grid(reader)
    finite = values[np.isfinite(values)]
    return {
        "name": found.name,
        "path": str(found.path),
        "shape_zyx": list(grid.shape_zyx),
        "voxel_size_angstrom": grid.voxel_size_angstrom,
        "origin_angstrom": list(grid.origin_xyz_angstrom),
        "type": reader.kind,
        "z": z,
        "minimum": float(finite.min()) if finite.size else None,
        "maximum": float(finite.max()) if finite.size else None,
        "mean": float(finite.mean(dtype=np.float64)) if finite.size else None,
    }


def _labels(
    project: Project | None,
    name: str,
    shape: tuple[int, int, int],
    corner: tuple[int, int, int],
    extent: tuple[int, int, int],
) -> tuple[NDArray[np.uint8], dict[int, str]]:
    found = find_volume(project, name)
    with found.open() as reader:
        if reader.grid.shape_zyx != shape:
            raise ShapeError(
                f"{name} has shape {reader.grid.shape_zyx}, the slice is of a volume {shape} (z, y, x).",
                "Take labels on the same grid.",
            )
        values = reader.read_region(corner, extent)[0]
    if found.map is not None:
        return np.asarray(values / np.float64(127) > found.map.threshold, np.uint8), {1: found.map.feature}
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8), label_names(found, values)


def label_names(found: NamedVolume, values: NDArray[np.generic]) -> dict[int, str]:
    """Return the names of the labels of a volume; the numbers themselves where nobody has told."""
    if found.labels is not None:
        return {int(number): entry.feature for number, entry in found.labels.labels.items()}
    present = np.unique(np.rint(values)).astype(int)
    return {int(number): str(number) for number in present if 0 < number < 256}


@dataclass(frozen=True, eq=False)
class TileView:
    """A tile and its annotation, all features in one picture."""

    place: Place
    values: NDArray[np.float32]
    """Shape (size, size)."""
    labels: NDArray[np.uint8]
    """Shape (size, size): the number of the feature in `features`, from 1; of several the first."""
    features: tuple[str, ...]
    states: Mapping[str, str]


def look_at_tile(project: Project, place: Place) -> TileView:
    """Return a tile with its annotation."""
    tile = catalog.require_tile(project.layout, place)
    record = catalog.tomogram(project.layout, tile.place.tomogram)
    path = catalog.volume_path(project.layout, tile.place.tomogram, record)
    with NamedVolume(tile.place.tomogram, path, record=record).open() as reader:
        values, inside = cut_slice(reader, tile.place)
    picture = np.where(inside, values.astype(np.float32), np.float32(record.mean))
    features = tuple(feature for feature in project.settings.features if tile.state_of(feature) is not None)
    labels = np.zeros(picture.shape, np.uint8)
    for number, feature in reversed(list(enumerate(features, start=1))):
        layer = read_layer(project.layout, tile.place, feature)
        if layer is not None:
            labels[layer == FEATURE] = number
    states = {feature: str(state) for feature, state in tile.states.items()}
    return TileView(tile.place, picture, labels, features, states)


@dataclass(frozen=True, eq=False)
class TripleView:
    """One tile of a run: what it looks like, what a person said, what the network says."""

    tile: str
    feature: str
    held_out: bool
    image: NDArray[np.float32]
    """Shape (s, s), mean 0 and sigma 1 over the tomogram."""
    annotation: NDArray[np.uint8]
    """Shape (s, s): 0 not looked at, 1 not feature, 2 feature, 3 ignore."""
    output: NDArray[np.float32]
    """Shape (s, s), from 0 to 1."""
    dice: float
    """At the card's threshold, over the pixels that were looked at."""
    wrong: int
    """Pixels on which annotation and output differ."""


def look_at_triples(project: Project, run: str, *, feature: str | None = None) -> list[TripleView]:
    """Return the triples of a run, those first on which annotation and output differ most.

    Held-out tiles come before those that the network has learned from.
    """
    card = catalog.network(project.layout, run)
    if feature is not None and feature not in card.features:
        raise UsageError(f"{run} does not know {feature}.", f"Name one of: {', '.join(card.features)}.")
    triples = read_triples(project.layout.network_triples(run))
    names = list(card.features)
    views = [
        _triple(triples, tile, number, name, card.features[name].threshold)
        for number, name in enumerate(names)
        if feature in {None, name}
        for tile in range(len(triples.tiles))
        if (triples.layers[tile, number] % 3 != 0).any()
    ]
    return sorted(views, key=lambda view: (not view.held_out, -view.wrong))


def _triple(triples: Triples, tile: int, number: int, feature: str, threshold: float) -> TripleView:
    layer, output = triples.layers[tile, number], triples.outputs[tile, number]
    seen = layer % 3 != 0  # 0 was not looked at, 3 is ignored
    counts = confusion(output > threshold, layer == FEATURE, seen)
    return TripleView(
        triples.tiles[tile],
        feature,
        bool(triples.held_out[tile]),
        triples.images[tile],
        layer,
        output,
        counts.dice,
        counts.fp + counts.fn,
    )


@dataclass(frozen=True, eq=False)
class SuspectView:
    """One tile of an audit: what is said of it, and its pictures."""

    found: AuditedTile
    picture: TripleView


def look_at_audit(project: Project, name: str) -> list[SuspectView]:
    """Return the tiles of an audit with their pictures, those whose label looks most wrong first.

    Raises
    ------
    ProjectError
        If there is no such audit, or its pictures cannot be read.
    """
    report = catalog.audit(project.layout, name)
    triples = read_triples(project.layout.audit_triples(name))
    places = {tile: number for number, tile in enumerate(triples.tiles)}
    numbers = {feature: number for number, feature in enumerate(report.features)}
    return [
        SuspectView(found, _triple(triples, places[found.tile], numbers[found.feature], found.feature, 0.5))
        for found in report.tiles
        if found.tile in places
    ]


def chosen_triples(views: Sequence[TripleView], worst: int | None, usual: int = 8) -> list[TripleView]:
    """Return as many triples as are wanted."""
    return list(views[: worst or usual])
