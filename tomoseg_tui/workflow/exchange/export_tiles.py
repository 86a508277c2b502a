"""Export tiles with their annotations for other tools, for a later import by `import_tiles`.

Masks are in one file per feature, because features overlap and each has unlabelled pixels of its own; see
`core.mask_encoding` for the values. A manifest (`io.export_manifest`) names every tile. Tiles are normalised by their
tomogram's mean and sigma, so that no density reaches 100, which EMAN2's pen writes. Whole slices keep the tomogram's
densities, with the masks as volumes and frames that show the tiles.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui import __version__
from tomoseg_tui.core.annotation import IGNORED, NOT_FEATURE, UNLABELLED, Layer, empty_layer
from tomoseg_tui.core.mask_encoding import CODES, encode_runs
from tomoseg_tui.core.names import ANY_FEATURE
from tomoseg_tui.core.tiles import FeatureState, Tile, TileLocation
from tomoseg_tui.errors import ProjectError, ShapeError, UsageError
from tomoseg_tui.files.atomic import atomic_output, require_writable
from tomoseg_tui.io.export_manifest import (
    SUFFIX,
    ExportManifest,
    FeatureMaskFile,
    MaskEntry,
    SliceRange,
    TileEntry,
    image_digest,
    write_manifest,
)
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.file_state import open_tomogram
from tomoseg_tui.project.records import TomogramRecord, now
from tomoseg_tui.workflow.annotations.import_annotations import read_tile_values
from tomoseg_tui.workflow.exchange.export_formats import (
    ExportFormat,
    density_meaning,
    grid_of_slices,
    mask_for_format,
    tile_frame,
    tile_images,
    to_uint8,
    write_masks,
    write_slabs,
    write_stack,
)
from tomoseg_tui.workflow.export import read_slabs

FORMAT_BY_SUFFIX: Mapping[str, ExportFormat] = {
    ".mrc": "mrc",
    ".hdf": "hdf",
    ".tif": "tif",
    ".tiff": "tif",
    ".png": "png",
}
"""The default format of each suffix."""
_MASK_ENDING: Mapping[ExportFormat, str] = {"hdf": "_seg", "napari": "_labels"}
"""Endings of the names of mask files, as in EMAN2 and usual for napari."""


@dataclass(frozen=True)
class TileExportRequest:
    """Tiles to export, and the target."""

    target: Path
    """File of the densities; a folder for PNGs. The other files are named after it."""
    file_format: ExportFormat | None = None
    """The format; None for that of the target's suffix."""
    features: tuple[str, ...] = ()
    """Features; empty for all that have a state on one of the tiles."""
    places: tuple[TileLocation, ...] = ()
    """Tiles; empty for those of the tomogram, or all of the project."""
    tomogram: str | None = None
    slice_margin: int | None = None
    """None for tiles; a number for whole slices, with this many below the lowest tile and above the highest."""
    force: bool = False
    """Replace existing files."""


@dataclass
class TileExport:
    """The exported files."""

    manifest: Path
    image: Path
    masks: Mapping[str, Path]
    """By feature."""
    frames: Path | None = None
    """File that shows the tiles' borders, for slices."""
    tiles: int = 0
    remarks: list[str] = field(default_factory=list)

    @property
    def files(self) -> list[Path]:
        """All files, the densities first, the manifest last."""
        return [self.image, *self.masks.values(), *([self.frames] if self.frames else []), self.manifest]


@dataclass(frozen=True)
class _Plan:
    """A checked request."""

    project: Project
    request: TileExportRequest
    file_format: ExportFormat
    tiles: Sequence[Tile]
    layers: Mapping[tuple[TileLocation, str], Layer]
    export: TileExport

    @property
    def places(self) -> list[TileLocation]:
        return [tile.location for tile in self.tiles]


def export_tiles(
    project: Project, request: TileExportRequest, on_progress: Callable[[float], None] = lambda _done: None
) -> TileExport:
    """Write tiles with their annotations, and the manifest for a later import.

    Parameters
    ----------
    on_progress : callable
        Called with the share of slices written, from 0 to 1.

    Raises
    ------
    UsageError
        If the format is unknown, or there is no feature to write.
    ProjectError
        If a tile, tomogram or feature is unknown, or a file exists and `force` is not set.
    ShapeError
        If tiles of one stack differ in size.
    """
    file_format, target = _format_and_target(request)
    tiles = _select_tiles(project, request)
    features = _select_features(project, request, tiles)
    export = _name_files(target, file_format, features, slices=request.slice_margin is not None)
    export.tiles = len(tiles)
    layers = {(tile.location, feature): _layer(project, tile, feature) for tile in tiles for feature in features}
    plan = _Plan(project, request, file_format, tiles, layers, export)
    if request.slice_margin is None:
        _export_tiles(plan)
    else:
        _export_slices(plan, request.slice_margin, on_progress)
    return export


def _format_and_target(request: TileExportRequest) -> tuple[ExportFormat, Path]:
    suffix = request.target.suffix.lower()
    file_format = request.file_format or FORMAT_BY_SUFFIX.get(suffix)
    if file_format is None:
        raise UsageError(
            f"{request.target.name} has no suffix of a format.",
            "Name a file that ends in .mrc, .hdf, .tif or .png, or give a format, such as --as napari",
        )
    if file_format == "png":
        return file_format, request.target.with_suffix("") if suffix == ".png" else request.target
    if FORMAT_BY_SUFFIX.get(suffix) != ("tif" if file_format == "napari" else file_format):
        ending = ".tif" if file_format == "napari" else f".{file_format}"
        raise UsageError(
            f"{request.target.name} is not a name for --as {file_format}.",
            f"Name a file that ends in {ending}, or leave --as out.",
        )
    return file_format, request.target


def _select_tiles(project: Project, request: TileExportRequest) -> list[Tile]:
    if request.places:
        tiles_by_place = {
            tile.location: tile
            for tile in (catalog.require_tile(project.layout, location) for location in request.places)
        }
        return [tiles_by_place[location] for location in sorted(tiles_by_place)]
    if request.tomogram is not None:
        tiles = catalog.tiles_of(project.layout, request.tomogram)
    else:
        tiles = catalog.all_tiles(project.layout)
    if not tiles:
        raise ProjectError(
            f"{request.tomogram or 'The project'} has no tiles to export.",
            "Place some: tomoseg tiles add TOMOGRAM --at X,Y,Z --feature F",
        )
    return tiles


def _select_features(project: Project, request: TileExportRequest, tiles: Sequence[Tile]) -> tuple[str, ...]:
    if request.features:
        return tuple(dict.fromkeys(catalog.require_feature(project, feature) for feature in request.features))
    present = {feature for tile in tiles for feature in tile.states} - {ANY_FEATURE}
    features = tuple(feature for feature in project.settings.features if feature in present)
    if not features:
        raise UsageError("No feature has a state on these tiles.", "Name a feature to paint: --feature F")
    return features


def _name_files(target: Path, file_format: ExportFormat, features: Sequence[str], *, slices: bool) -> TileExport:
    """Return the files: named after the target, for PNG in a folder of that name."""
    if file_format == "png":
        folders = {feature: target / feature for feature in features}
        return TileExport(target / f"{target.name}{SUFFIX}", target / "image", folders)

    def with_suffix(suffix: str) -> Path:
        return target.with_name(f"{target.stem}{suffix}{target.suffix}")

    ending = _MASK_ENDING.get(file_format, "")
    is_single = len(features) == 1 and ending != ""
    masks = {feature: with_suffix(ending if is_single else f"_{feature}{ending}") for feature in features}
    frames = with_suffix("_frames") if slices else None
    return TileExport(target.with_name(f"{target.stem}{SUFFIX}"), target, masks, frames)


def _layer(project: Project, tile: Tile, feature: str) -> Layer:
    """Return the present layer, whether marked done or not."""
    if tile.state_of(feature) is FeatureState.NONE_HERE:
        return empty_layer(tile.location.size, NOT_FEATURE)
    layer = read_layer(project.layout, tile.location, feature)
    return empty_layer(tile.location.size) if layer is None else layer


def _require_writable_files(plan: _Plan) -> None:
    """Raise an error if files exist that must not be replaced, before anything is written."""
    force = plan.request.force
    if plan.file_format != "png":
        for file in plan.export.files:
            require_writable(file, force=force)
        return
    folder = plan.export.manifest.parent
    if folder.is_dir() and not force:
        raise ProjectError(f"{folder} exists.", "Choose another name, or replace its files with --force.")
    if not folder.is_dir():
        require_writable(folder, force=False)


def _export_tiles(plan: _Plan) -> None:
    sizes = sorted({location.size for location in plan.places})
    if len(sizes) > 1:
        raise ShapeError(
            f"The tiles are {' and '.join(map(str, sizes))} pixels wide and cannot be in one stack.",
            "Export tiles of one size at a time: --tiles ID...",
        )
    _require_writable_files(plan)
    records = [catalog.load_tomogram(plan.project.layout, location.tomogram) for location in plan.places]
    normalised = np.stack(tile_images(plan.project, plan.places))  # (n, y, x)
    images: NDArray[Any] = to_uint8(normalised) if plan.file_format == "png" else normalised
    write_stack(plan.export.image, images, plan.file_format, plan.places, records)
    for feature, file in plan.export.masks.items():
        masks = np.stack(
            [mask_for_format(plan.layers[location, feature], plan.file_format) for location in plan.places]
        )  # (n, y, x)
        write_stack(file, masks, plan.file_format, plan.places, records, is_mask=True)
    _write_manifest(plan, images.shape, list(images), records)


def _export_slices(plan: _Plan, margin: int, on_progress: Callable[[float], None]) -> None:
    if plan.file_format == "png":
        raise UsageError("Slices cannot be written as PNGs.", "Use --as mrc, hdf, tif or napari.")
    name, record = _common_tomogram(plan)
    z_values = [location.z for location in plan.places]
    start, stop = max(0, min(z_values) - margin), min(record.shape_zyx[0], max(z_values) + margin + 1)
    _require_writable_files(plan)
    grid = grid_of_slices(record, start, stop)
    with open_tomogram(plan.project.layout, name, record) as reader, atomic_output(plan.export.image) as draft:
        slabs = read_slabs(reader, start, stop, on_progress)
        suffix = plan.export.image.suffix.lower()
        write_slabs(
            draft, suffix, slabs, grid, reader.dtype, density_meaning(f"slices {start}-{stop - 1} of {name}", record)
        )
        images = [read_tile_values(reader, location)[0] for location in plan.places]
    for feature, file in plan.export.masks.items():
        codes = {
            location: mask_for_format(plan.layers[location, feature], plan.file_format) for location in plan.places
        }
        differing = write_masks(file, plan.file_format, codes, grid, start)
        if differing:
            plan.export.remarks.append(
                f"Overlapping tiles differ in {feature} on {differing} pixels; the greater value is written there."
            )
    if plan.export.frames is not None:
        write_masks(
            plan.export.frames,
            plan.file_format,
            {location: tile_frame(location.size) for location in plan.places},
            grid,
            start,
        )
    slices = SliceRange(name, start, stop)
    _write_manifest(plan, grid.shape_zyx, images, [record] * len(images), slices)


def _common_tomogram(plan: _Plan) -> tuple[str, TomogramRecord]:
    """Return the single tomogram of the slices."""
    names = sorted({location.tomogram for location in plan.places})
    name = plan.request.tomogram or names[0]
    sharing = catalog.versions_sharing_tiles(plan.project.layout, name)
    if not set(names) <= set(sharing):
        raise UsageError(
            f"The tiles are in several tomograms: {', '.join(names)}.",
            "Export the slices of one tomogram at a time: --tomogram T",
        )
    return name, catalog.load_tomogram(plan.project.layout, name)


def _write_manifest(
    plan: _Plan,
    shape: tuple[int, ...],
    images: Sequence[NDArray[Any]],
    records: Sequence[TomogramRecord],
    slices: SliceRange | None = None,
) -> None:
    depth, height, width = shape
    manifest = ExportManifest(
        made_by=f"tomoseg {__version__}",
        created=now(),
        form=plan.file_format,
        kind="tiles" if slices is None else "slices",
        shape=(depth, height, width),
        image=plan.export.image.name,
        masks=tuple(FeatureMaskFile(feature, file.name) for feature, file in plan.export.masks.items()),
        values={"not feature": 0, "feature": 1} if plan.file_format == "hdf" else dict(CODES),
        slices=slices,
        tiles=tuple(_tile_entry(plan, *of_tile) for of_tile in zip(plan.tiles, images, records, strict=True)),
    )
    write_manifest(plan.export.manifest, manifest)


def _tile_entry(plan: _Plan, tile: Tile, image: NDArray[Any], record: TomogramRecord) -> TileEntry:
    location = tile.location
    masks = {feature: _mask_entry(plan, tile, feature) for feature in plan.export.masks}
    return TileEntry(
        id=location.id,
        tomogram=location.tomogram,
        x=location.x,
        y=location.y,
        z=location.z,
        size=location.size,
        voxel_size_angstrom=record.voxel_size_angstrom,
        image=image_digest(image),
        masks=masks,
    )


def _mask_entry(plan: _Plan, tile: Tile, feature: str) -> MaskEntry:
    layer = plan.layers[tile.location, feature]
    codes = mask_for_format(layer, plan.file_format)
    needs_runs = plan.file_format == "hdf" or not layer.any()  # the values of the masks do not show it
    return MaskEntry(
        state=str(tile.state_of(feature) or ""),
        digest=image_digest(codes),
        flipped=image_digest(codes[::-1]),
        ignored=encode_runs(layer == IGNORED) if needs_runs else "",
        unseen=encode_runs(layer == UNLABELLED) if needs_runs else "",
    )
