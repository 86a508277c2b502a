"""Write tiles and what is annotated on them for other tools, so that `returning` can take it back.

Beside the densities stands one file of masks a feature, since features overlap and each has pixels of its own that
nobody has looked at; `core.mask_codes` says what the numbers mean. A manifest (`io.tile_manifest`) names every tile.
Tiles go out normalised by their tomogram's mean and sigma: EMAN2's pen writes 100, which no density must reach.
Whole slices go out as the tomogram has them, with the masks as volumes and frames that show where the tiles are.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui import __version__
from tomoseg_tui.core.annotation import IGNORED, NOT_FEATURE, NOT_LOOKED_AT, Layer, empty_layer
from tomoseg_tui.core.mask_encoding import CODES, runs_of
from tomoseg_tui.core.names import ANY_FEATURE
from tomoseg_tui.core.tiles import FeatureState, Place, Tile
from tomoseg_tui.errors import ProjectError, ShapeError, UsageError
from tomoseg_tui.files.atomic import drafted, refuse_existing
from tomoseg_tui.io.export_manifest import (
    SUFFIX,
    MaskFacts,
    MaskFile,
    SliceRange,
    TileEntry,
    TileManifest,
    digest_of_image,
    write_manifest,
)
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import read_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import TomogramRecord, now
from tomoseg_tui.workflow.annotations.import_annotations import cut_slice
from tomoseg_tui.workflow.exchange.export_formats import (
    Form,
    as_greys,
    frame_of,
    grid_of_slices,
    tile_images,
    write_masks,
    write_stack,
    written_codes,
)
from tomoseg_tui.workflow.export import slabs_of, write_slabs
from tomoseg_tui.workflow.volume_names import NamedVolume

SUFFIXES: Mapping[str, Form] = {".mrc": "mrc", ".hdf": "hdf", ".tif": "tif", ".tiff": "tif", ".png": "png"}
"""The form that an ending means."""
_MASK_ENDING: Mapping[Form, str] = {"hdf": "_seg", "napari": "_labels"}
"""What the names of mask files end in, as EMAN2 and people of napari expect."""


@dataclass(frozen=True)
class LoanWish:
    """What is to be written, and where."""

    target: Path
    """The file of the densities; a folder for PNGs. The other files are named after it."""
    form: Form | None = None
    """How; None: as the ending of the target says."""
    features: tuple[str, ...] = ()
    """Empty: every feature that has a state on one of the tiles."""
    places: tuple[Place, ...] = ()
    """Tiles; empty: those of the tomogram, or all of the project."""
    tomogram: str | None = None
    slab: int | None = None
    """None: tiles. A number: whole slices, from so many below the lowest tile to so many above the highest."""
    force: bool = False
    """Replace files that are there."""


@dataclass
class Loan:
    """What was written."""

    manifest: Path
    image: Path
    masks: Mapping[str, Path]
    """By feature."""
    frames: Path | None = None
    """Of slices: where the tiles are."""
    tiles: int = 0
    remarks: list[str] = field(default_factory=list)

    @property
    def files(self) -> list[Path]:
        """All of them, the densities first, the manifest last."""
        return [self.image, *self.masks.values(), *([self.frames] if self.frames else []), self.manifest]


@dataclass(frozen=True)
class _Plan:
    """A wish that can be carried out."""

    project: Project
    wish: LoanWish
    form: Form
    tiles: Sequence[Tile]
    layers: Mapping[tuple[Place, str], Layer]
    loan: Loan

    @property
    def places(self) -> list[Place]:
        return [tile.place for tile in self.tiles]


def lend(project: Project, wish: LoanWish, on_progress: Callable[[float], None] = lambda _done: None) -> Loan:
    """Write tiles with their annotations, and the manifest by which they are taken back.

    Parameters
    ----------
    project : Project
        Left as it is.
    wish : LoanWish
    on_progress : callable
        Told how much of the slices is written.

    Raises
    ------
    UsageError
        If the ending says no format, or there is no feature to write.
    ProjectError
        If a tile, tomogram or feature is unknown, or a file exists and not `force`.
    ShapeError
        If tiles of several sizes are asked for as one stack.
    """
    form, target = _form_and_target(wish)
    tiles = _tiles(project, wish)
    features = _features(project, wish, tiles)
    loan = _loan(target, form, features, slices=wish.slab is not None)
    loan.tiles = len(tiles)
    layers = {(tile.place, feature): _layer(project, tile, feature) for tile in tiles for feature in features}
    plan = _Plan(project, wish, form, tiles, layers, loan)
    if wish.slab is None:
        _lend_tiles(plan)
    else:
        _lend_slices(plan, wish.slab, on_progress)
    return loan


def _form_and_target(wish: LoanWish) -> tuple[Form, Path]:
    suffix = wish.target.suffix.lower()
    form = wish.form or SUFFIXES.get(suffix)
    if form is None:
        raise UsageError(
            f"{wish.target.name} does not say a format.",
            "End it in .mrc, .hdf, .tif or .png, or say it, as --as napari",
        )
    if form == "png":
        return form, wish.target.with_suffix("") if suffix == ".png" else wish.target
    if SUFFIXES.get(suffix) != ("tif" if form == "napari" else form):
        ending = ".tif" if form == "napari" else f".{form}"
        raise UsageError(f"{wish.target.name} is no name for --as {form}.", f"End it in {ending}, or leave --as away.")
    return form, wish.target


def _tiles(project: Project, wish: LoanWish) -> list[Tile]:
    if wish.places:
        found = {tile.place: tile for tile in (catalog.require_tile(project.layout, place) for place in wish.places)}
        return [found[place] for place in sorted(found)]
    if wish.tomogram is not None:
        tiles = catalog.tiles_of(project.layout, wish.tomogram)
    else:
        tiles = catalog.all_tiles(project.layout)
    if not tiles:
        raise ProjectError(
            f"{wish.tomogram or 'The project'} has no tiles to export.",
            "Place some: tomoseg tiles add TOMOGRAM --at X,Y,Z --feature F",
        )
    return tiles


def _features(project: Project, wish: LoanWish, tiles: Sequence[Tile]) -> tuple[str, ...]:
    if wish.features:
        return tuple(dict.fromkeys(catalog.require_feature(project, feature) for feature in wish.features))
    there = {feature for tile in tiles for feature in tile.states} - {ANY_FEATURE}
    features = tuple(feature for feature in project.settings.features if feature in there)
    if not features:
        raise UsageError("No feature has a state on these tiles.", "Name one that is to be painted: --feature F")
    return features


def _loan(target: Path, form: Form, features: Sequence[str], *, slices: bool) -> Loan:
    """Name the files: after the target, for PNG in a folder of that name."""
    if form == "png":
        folders = {feature: target / feature for feature in features}
        return Loan(target / f"{target.name}{SUFFIX}", target / "image", folders)

    def named(words: str) -> Path:
        return target.with_name(f"{target.stem}{words}{target.suffix}")

    ending = _MASK_ENDING.get(form, "")
    alone = len(features) == 1 and ending != ""
    masks = {feature: named(ending if alone else f"_{feature}{ending}") for feature in features}
    frames = named("_frames") if slices else None
    return Loan(target.with_name(f"{target.stem}{SUFFIX}"), target, masks, frames)


def _layer(project: Project, tile: Tile, feature: str) -> Layer:
    """Return what is painted so far, whether or not somebody has said that it is done."""
    if tile.state_of(feature) is FeatureState.NONE_HERE:
        return empty_layer(tile.place.size, NOT_FEATURE)
    layer = read_layer(project.layout, tile.place, feature)
    return empty_layer(tile.place.size) if layer is None else layer


def _refuse_files(plan: _Plan) -> None:
    """Refuse to write over what is there, before anything is written."""
    force = plan.wish.force
    if plan.form != "png":
        for file in plan.loan.files:
            refuse_existing(file, force=force)
        return
    folder = plan.loan.manifest.parent
    if folder.is_dir() and not force:
        raise ProjectError(f"{folder} exists.", "Choose another name, or say --force to replace what is in it.")
    if not folder.is_dir():
        refuse_existing(folder, force=False)


def _lend_tiles(plan: _Plan) -> None:
    sizes = sorted({place.size for place in plan.places})
    if len(sizes) > 1:
        raise ShapeError(
            f"The tiles are {' and '.join(map(str, sizes))} pixels wide, which one stack cannot hold.",
            "Export those of one size at a time: --tiles ID...",
        )
    _refuse_files(plan)
    records = [catalog.tomogram(plan.project.layout, place.tomogram) for place in plan.places]
    plain = np.stack(tile_images(plan.project, plan.places))  # (n, y, x)
    images: NDArray[Any] = as_greys(plain) if plan.form == "png" else plain
    write_stack(plan.loan.image, images, plan.form, plan.places, records)
    for feature, file in plan.loan.masks.items():
        masks = np.stack([written_codes(plan.layers[place, feature], plan.form) for place in plan.places])  # (n, y, x)
        write_stack(file, masks, plan.form, plan.places, records, is_mask=True)
    _write_manifest(plan, images.shape, list(images), records)


def _lend_slices(plan: _Plan, margin: int, on_progress: Callable[[float], None]) -> None:
    if plan.form == "png":
        raise UsageError("Slices cannot be written as PNGs.", "Take --as mrc, hdf, tif or napari.")
    name, record = _home(plan)
    heights = [place.z for place in plan.places]
    start, stop = max(0, min(heights) - margin), min(record.shape_zyx[0], max(heights) + margin + 1)
    _refuse_files(plan)
    grid = grid_of_slices(record, start, stop)
    path = catalog.volume_path(plan.project.layout, name, record)
    with NamedVolume(name, path, record=record).open() as reader, drafted(plan.loan.image) as draft:
        slabs = slabs_of(reader, start, stop, on_progress)
        write_slabs(draft, plan.loan.image.suffix.lower(), slabs, grid, reader.dtype)
        images = [cut_slice(reader, place)[0] for place in plan.places]
    for feature, file in plan.loan.masks.items():
        codes = {place: written_codes(plan.layers[place, feature], plan.form) for place in plan.places}
        differing = write_masks(file, plan.form, codes, grid, start)
        if differing:
            plan.loan.remarks.append(
                f"Tiles overlap and say different things of {feature} on {differing} pixels; "
                "the greater number stands there."
            )
    if plan.loan.frames is not None:
        write_masks(plan.loan.frames, plan.form, {place: frame_of(place.size) for place in plan.places}, grid, start)
    slices = SliceRange(name, start, stop)
    _write_manifest(plan, grid.shape_zyx, images, [record] * len(images), slices)


def _home(plan: _Plan) -> tuple[str, TomogramRecord]:
    """Return the one tomogram whose slices are written."""
    names = sorted({place.tomogram for place in plan.places})
    name = plan.wish.tomogram or names[0]
    shared = catalog.versions_sharing_tiles(plan.project.layout, name)
    if not set(names) <= set(shared):
        raise UsageError(
            f"The tiles lie in several tomograms: {', '.join(names)}.",
            "Export the slices of one at a time: --tomogram T",
        )
    return name, catalog.tomogram(plan.project.layout, name)


def _write_manifest(
    plan: _Plan,
    shape: tuple[int, ...],
    images: Sequence[NDArray[Any]],
    records: Sequence[TomogramRecord],
    slices: SliceRange | None = None,
) -> None:
    depth, height, width = shape
    manifest = TileManifest(
        made_by=f"tomoseg {__version__}",
        created=now(),
        form=plan.form,
        kind="tiles" if slices is None else "slices",
        shape=(depth, height, width),
        image=plan.loan.image.name,
        masks=tuple(MaskFile(feature, file.name) for feature, file in plan.loan.masks.items()),
        values={"not feature": 0, "feature": 1} if plan.form == "hdf" else dict(CODES),
        slices=slices,
        tiles=tuple(_entry(plan, *of_tile) for of_tile in zip(plan.tiles, images, records, strict=True)),
    )
    write_manifest(plan.loan.manifest, manifest)


def _entry(plan: _Plan, tile: Tile, image: NDArray[Any], record: TomogramRecord) -> TileEntry:
    place = tile.place
    masks = {feature: _facts(plan, tile, feature) for feature in plan.loan.masks}
    return TileEntry(
        id=place.id,
        tomogram=place.tomogram,
        x=place.x,
        y=place.y,
        z=place.z,
        size=place.size,
        voxel_size_angstrom=record.voxel_size_angstrom,
        image=digest_of_image(image),
        masks=masks,
    )


def _facts(plan: _Plan, tile: Tile, feature: str) -> MaskFacts:
    layer = plan.layers[tile.place, feature]
    written = written_codes(layer, plan.form)
    must_be_told = plan.form == "hdf" or not layer.any()  # the numbers of the masks do not say it
    return MaskFacts(
        state=str(tile.state_of(feature) or ""),
        digest=digest_of_image(written),
        flipped=digest_of_image(written[::-1]),
        ignored=runs_of(layer == IGNORED) if must_be_told else "",
        unseen=runs_of(layer == NOT_LOOKED_AT) if must_be_told else "",
    )
