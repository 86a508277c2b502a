"""Load arrays to show: a slice with labels, a tile with its layers, triples of a run. Leaves drawing to `render`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, labelled_pixels
from tomoseg_tui.core.grid import MAX_MAP_VALUE
from tomoseg_tui.core.metrics import confusion
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import ShapeError, UsageError
from tomoseg_tui.io.triples_file import TripleSet, read_triples
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.file_state import open_tomogram
from tomoseg_tui.project.records import AuditedTile
from tomoseg_tui.workflow.annotations.import_annotations import read_tile_values
from tomoseg_tui.workflow.volume_names import NamedVolume, find_volume

WINDOW_PIXELS = 128
"""Pixels shown around a requested voxel."""


@dataclass(frozen=True, eq=False)
class SliceView:
    """A slice, or a part of it, with labels."""

    name: str
    z: int
    values: NDArray[np.float32]
    """Shape (y, x)."""
    labels: NDArray[np.uint8] | None
    """Shape (y, x), 0 for none."""
    label_names: Mapping[int, str]
    """Names of the labels, by number."""
    properties: Mapping[str, object]
    """For `show --json`."""


def load_slice_view(
    project: Project | None,
    name: str,
    *,
    z: int | None = None,
    at_xyz: tuple[int, int, int] | None = None,
    labels: str | None = None,
    slab: int = 1,
    smooth: float = 0.0,
) -> SliceView:
    """Return a slice of a volume with labels.

    Parameters
    ----------
    name : str
        Name of a tomogram, map or label volume, or a file.
    z : int or None
        Slice from 0; None for that of `at_xyz`, or the middle one.
    at_xyz : tuple of int or None
        Voxel whose surroundings are shown; None for the whole slice.
    labels : str or None
        Name of a label volume or map on the same grid; a map is thresholded.
    slab : int
        Number of slices to average, centred on the slice; fewer at the ends of the volume.
    smooth : float
        Standard deviation of a Gaussian along y and x, voxels; 0 for none.

    Raises
    ------
    UsageError
        If the slice or voxel is outside the volume, or labels would be averaged.
    ShapeError
        If the labels have another shape.
    """
    volume = find_volume(project, name)
    with volume.open() as reader:
        shape = reader.grid.shape_zyx
        slice_index = at_xyz[2] if at_xyz is not None and z is None else shape[0] // 2 if z is None else z
        corner, extent = _slice_window(shape, slice_index, at_xyz)
        if volume.labels is not None and (slab > 1 or smooth):
            raise UsageError(
                f"{name} has labels, whose numbers cannot be averaged.",
                f"Draw it over a tomogram: tomoseg show TOMOGRAM --labels {name}",
            )
        first, last = max(0, slice_index - (slab - 1) // 2), min(shape[0], slice_index + slab // 2 + 1)
        values = reader.read_region((first, *corner[1:]), (last - first, *extent[1:]))  # (z, y, x)
        values = values[0] if slab == 1 else values.mean(axis=0, dtype=np.float32)
        if smooth:
            from scipy import ndimage  # noqa: PLC0415  # slow to import

            finite = np.isfinite(values)
            filled = np.where(finite, values, values[finite].mean() if finite.any() else 0)
            values = ndimage.gaussian_filter(filled.astype(np.float32), smooth)
        properties = {**_slice_properties(volume, reader, slice_index, values), "slab": last - first, "smooth": smooth}
    label_plane, names_by_label = (None, {}) if labels is None else _read_labels(project, labels, shape, corner, extent)
    if volume.labels is not None and labels is None:
        label_plane, names_by_label = np.asarray(values, np.uint8), label_names(volume, values)
        values = np.zeros_like(values)
    return SliceView(name, slice_index, values.astype(np.float32), label_plane, names_by_label, properties)


def _slice_window(
    shape: tuple[int, int, int], z: int, at_xyz: tuple[int, int, int] | None
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    nz, ny, nx = shape
    if not 0 <= z < nz:
        raise UsageError(f"There is no slice {z}.", f"Choose one from 0 to {nz - 1}.")
    if at_xyz is None:
        return (z, 0, 0), (1, ny, nx)
    x, y, _ = at_xyz
    if not (0 <= x < nx and 0 <= y < ny):
        raise UsageError(f"x {x}, y {y} is outside the volume.", f"Choose x 0 to {nx - 1} and y 0 to {ny - 1}.")
    top, left = (max(0, min(c - WINDOW_PIXELS // 2, n - WINDOW_PIXELS)) for c, n in ((y, ny), (x, nx)))
    return (z, top, left), (1, min(WINDOW_PIXELS, ny - top), min(WINDOW_PIXELS, nx - left))


def _slice_properties(
    volume: NamedVolume, reader: VolumeReader, z: int, values: NDArray[np.generic]
) -> dict[str, object]:
    grid = volume.grid(reader)
    finite = values[np.isfinite(values)]
    return {
        "name": volume.name,
        "path": str(volume.path),
        "changed": volume.change or None,
        "shape_zyx": list(grid.shape_zyx),
        "voxel_size_angstrom": grid.voxel_size_angstrom,
        "origin_angstrom": list(grid.origin_xyz_angstrom),
        "type": reader.kind,
        "z": z,
        "minimum": float(finite.min()) if finite.size else None,
        "maximum": float(finite.max()) if finite.size else None,
        "mean": float(finite.mean(dtype=np.float64)) if finite.size else None,
    }


def _read_labels(
    project: Project | None,
    name: str,
    shape: tuple[int, int, int],
    corner: tuple[int, int, int],
    extent: tuple[int, int, int],
) -> tuple[NDArray[np.uint8], dict[int, str]]:
    volume = find_volume(project, name)
    with volume.open() as reader:
        if reader.grid.shape_zyx != shape:
            raise ShapeError(
                f"{name} has shape {reader.grid.shape_zyx}, the slice is of a volume {shape} (z, y, x).",
                "Name labels on the same grid.",
            )
        values = reader.read_region(corner, extent)[0]
    if volume.map is not None:
        return np.asarray(values / np.float64(MAX_MAP_VALUE) > volume.map.threshold, np.uint8), {1: volume.map.feature}
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8), label_names(volume, values)


def label_names(volume: NamedVolume, values: NDArray[np.generic]) -> dict[int, str]:
    """Return the names of the labels of a volume; the numbers if they have no names."""
    if volume.labels is not None:
        return {int(number): entry.feature for number, entry in volume.labels.labels.items()}
    present = np.unique(np.rint(values)).astype(int)
    return {int(number): str(number) for number in present if 0 < number < 256}


@dataclass(frozen=True, eq=False)
class TileView:
    """A tile and its annotation, with all features in one array."""

    location: TileLocation
    values: NDArray[np.float32]
    """Shape (size, size)."""
    labels: NDArray[np.uint8]
    """Shape (size, size): number of the feature in `features`, from 1; the first of several."""
    features: tuple[str, ...]
    states: Mapping[str, str]


def load_tile_view(project: Project, location: TileLocation) -> TileView:
    """Return a tile with its annotation."""
    tile = catalog.require_tile(project.layout, location)
    record = catalog.load_tomogram(project.layout, tile.location.tomogram)
    with open_tomogram(project.layout, tile.location.tomogram, record) as reader:
        values, inside = read_tile_values(reader, tile.location)
    image = np.where(inside, values.astype(np.float32), np.float32(record.mean))
    features = tuple(feature for feature in project.settings.features if tile.state_of(feature) is not None)
    labels = np.zeros(image.shape, np.uint8)
    for number, feature in reversed(list(enumerate(features, start=1))):
        layer = read_layer(project.layout, tile.location, feature)
        if layer is not None:
            labels[layer == FEATURE] = number
    states = {feature: str(state) for feature, state in tile.states.items()}
    return TileView(tile.location, image, labels, features, states)


@dataclass(frozen=True, eq=False)
class TripleView:
    """One tile of a run: image, annotation and output of one feature."""

    tile: str
    feature: str
    held_out: bool
    image: NDArray[np.float32]
    """Shape (s, s), mean 0 and sigma 1 over the tomogram."""
    annotation: NDArray[np.uint8]
    """Shape (s, s): 0 unlabelled, 1 not feature, 2 feature, 3 ignore."""
    output: NDArray[np.float32]
    """Shape (s, s), from 0 to 1."""
    dice: float
    """Dice at the card's threshold, over labelled pixels."""
    wrong_pixels: int
    """Labelled pixels on which annotation and output differ."""


def load_triples(project: Project, run: str, *, feature: str | None = None) -> list[TripleView]:
    """Return the triples of a run, sorted by wrong pixels, most first; validation tiles before training tiles."""
    card = catalog.load_network_card(project.layout, run)
    if feature is not None and feature not in card.features:
        raise UsageError(f"{run} has no feature {feature}.", f"Name one of: {', '.join(card.features)}.")
    triples = read_triples(project.layout.network_triples(run))
    names = list(card.features)
    views = [
        _triple_view(triples, tile, feature_index, name, card.features[name].threshold)
        for feature_index, name in enumerate(names)
        if feature in {None, name}
        for tile in range(len(triples.tiles))
        if labelled_pixels(triples.layers[tile, feature_index]).any()
    ]
    return sorted(views, key=lambda view: (not view.held_out, -view.wrong_pixels))


def _triple_view(triples: TripleSet, tile: int, feature_index: int, feature: str, threshold: float) -> TripleView:
    layer, output = triples.layers[tile, feature_index], triples.outputs[tile, feature_index]
    counts = confusion(output > threshold, layer == FEATURE, labelled_pixels(layer))
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
class AuditedTileView:
    """One tile of an audit with its result and arrays."""

    audited_tile: AuditedTile
    triple: TripleView


def load_audit_views(project: Project, name: str) -> list[AuditedTileView]:
    """Return the tiles of an audit, ranked by label-error score.

    Raises
    ------
    ProjectError
        If there is no such audit, or its triples cannot be read.
    """
    report = catalog.load_audit_report(project.layout, name)
    triples = read_triples(project.layout.audit_triples(name))
    tile_indices = {tile: index for index, tile in enumerate(triples.tiles)}
    feature_indices = {feature: index for index, feature in enumerate(report.features)}
    return [
        AuditedTileView(
            audited,
            _triple_view(triples, tile_indices[audited.tile], feature_indices[audited.feature], audited.feature, 0.5),
        )
        for audited in report.tiles
        if audited.tile in tile_indices
    ]


def select_triples(views: Sequence[TripleView], worst: int | None, default_count: int = 8) -> list[TripleView]:
    """Return the first `worst` triples, by default `default_count`."""
    return list(views[: worst or default_count])
