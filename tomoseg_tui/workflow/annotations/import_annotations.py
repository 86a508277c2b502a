"""Bring annotations in: a label volume cut at the tiles, a stack of masks, or a word on one tile."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, Layer, layer_of_labels, layer_of_mask
from tomoseg_tui.core.mask_decoding import foreground, value_of_word
from tomoseg_tui.core.names import IGNORE, check_feature_name
from tomoseg_tui.core.tiles import FeatureState, Place, Tile
from tomoseg_tui.errors import ProjectError, ShapeError, UsageError
from tomoseg_tui.files import locks
from tomoseg_tui.files.atomic import write_whole
from tomoseg_tui.io.formats import open_stack, open_volume
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import read_layer, replace_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.paint_locks import painter_of, refuse_painted
from tomoseg_tui.project.records import LayerSource, StateRecord, TomogramRecord, now
from tomoseg_tui.workflow.annotations.paint_session import Painting
from tomoseg_tui.workflow.tiles.placing import state_text

VOXEL_SIZE_TOLERANCE = 0.01
"""Label volumes whose voxel size differs by more are remarked on."""


@dataclass
class Annotated:
    """What an import of annotations did."""

    annotated: int = 0
    """Layers that hold the feature, or were wanted."""
    none_here: int = 0
    """Tiles that were found to hold none of the feature."""
    left: list[str] = field(default_factory=list)
    """Tiles that were left as they were, with the reason."""
    new_features: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class LabelMap:
    """Which label value means which feature."""

    features: Mapping[str, tuple[int, ...]]
    """Label values by feature."""
    ignored: tuple[int, ...] = ()
    """Label values that teach nothing."""

    @property
    def values(self) -> tuple[int, ...]:
        """All that have a meaning."""
        return (*(value for wanted in self.features.values() for value in wanted), *self.ignored)


def label_map(words: Sequence[str]) -> LabelMap:
    """Read words like ``1=microtubule``, ``7=ignore`` or ``#ff0000=membrane``.

    Raises
    ------
    UsageError
        If a word has another form, or a value is named twice.
    """
    features: dict[str, tuple[int, ...]] = {}
    ignored: tuple[int, ...] = ()
    seen: set[int] = set()
    for word in words:
        value_text, _, meaning = word.partition("=")
        if not re.fullmatch(r"-?[0-9]{1,7}|#[0-9a-fA-F]{6}", value_text) or not meaning:
            raise UsageError(
                f"--map {word} is not understood.",
                "Write it as --map 1=microtubule, --map 7=ignore, or --map '#ff0000=membrane'.",
            )
        value = value_of_word(value_text)
        if value in seen:
            raise UsageError(f"--map names label {value} twice.", "Name each label once.")
        seen.add(value)
        if meaning == IGNORE:
            ignored = (*ignored, value)
        else:
            features[check_feature_name(meaning)] = (*features.get(meaning, ()), value)
    if not features:
        raise UsageError("No label is mapped to a feature.", "Say which is which: --map 1=microtubule")
    return LabelMap(features, ignored)


def import_label_volume(
    project: Project,
    path: Path,
    tomogram: str,
    labels: LabelMap,
    *,
    replace: bool = False,
    on_progress: Callable[[float], None] = lambda _done: None,
) -> Annotated:
    """Cut a label volume at the tiles of its tomogram.

    Every tile is then wholly looked at for every mapped feature; values that are not mapped count as
    not feature. A tile that is marked "none here" but holds labelled pixels is left as it is and listed.

    Parameters
    ----------
    project : Project
    path : Path
        Volume of integers on the tomogram's grid.
    tomogram : str
        Name of the tomogram; tiles that it shares with other versions are annotated too.
    labels : LabelMap
        Which value means what.
    replace : bool
        Whether painted layers are replaced; the old ones go to the trash.
    on_progress : callable
        Told how much is done.

    Raises
    ------
    ShapeError
        If the volume's shape differs from the tomogram's.
    ProjectError
        If the tomogram is unknown or has no tiles.
    """
    project.refuse_newer()
    record = catalog.tomogram(project.layout, tomogram)
    tiles = _tiles_to_annotate(project, tomogram)
    done = Annotated()
    with open_volume(path) as volume:
        check_grid(path, volume, tomogram, record, done)
        layers = {tile.place: _cut_layers(volume, tile.place, labels) for tile in tiles}
    _make_features(project, labels.features, done)
    source = LayerSource("imported", path.name, now())
    for index, tile in enumerate(tiles):
        for feature in labels.features:
            _settle(project, tile, feature, layers[tile.place][feature], source, done, replace=replace)
        on_progress((index + 1) / len(tiles))
    return done


def import_masks(
    project: Project,
    path: Path,
    feature: str,
    places: Sequence[Place],
    *,
    replace: bool = False,
    command: str = "",
) -> Annotated:
    """Take a stack of masks, one a tile, in the order of the tiles.

    What the numbers mean is judged by `core.mask_values`; `command` is what the user has typed, for its faults.

    Raises
    ------
    AmbiguousMaskError
        If the file holds several values, so that nobody knows which is the feature.
    ShapeError
        If the stack is not as long as the list of tiles, or its images are not of the tiles' size.
    """
    project.refuse_newer()
    check_feature_name(feature)
    tiles, stack = read_stack_for(project, path, places)
    masks, remark = foreground(stack, name=path.name, command=command)
    layers = [TileLayer(tile.place, feature, layer_of_mask(mask)) for tile, mask in zip(tiles, masks, strict=True)]
    done = take_layers(project, layers, path.name, replace=replace)
    if remark:
        done.remarks.insert(0, remark)
    return done


def read_stack_for(
    project: Project, path: Path, places: Sequence[Place], *, colours: bool = False
) -> tuple[list[Tile], NDArray[Any]]:
    """Read a stack of masks, one a tile; return the tiles in the order of `tiles list` and the stack, (n, y, x).

    Raises
    ------
    ShapeError
        If the stack is not as long as the list of tiles.
    ProjectError
        If a tile is unknown.
    """
    found = {tile.place: tile for tile in (catalog.require_tile(project.layout, place) for place in places)}
    tiles = [found[place] for place in sorted(found)]  # whatever the order of the words
    stack = open_stack(path, colours=colours)  # (n, y, x)
    if len(stack) != len(tiles):
        raise ShapeError(
            f"{path.name} holds {len(stack)} masks, but there are {len(tiles)} tiles.",
            "Give one mask a tile, in the order of `tomoseg tiles list`.",
        )
    return tiles, stack


@dataclass(frozen=True, eq=False)
class TileLayer:
    """What a file says of one feature on one tile."""

    place: Place
    feature: str
    layer: Layer
    """Shape (size, size): 0 not looked at, 1 not feature, 2 feature, 3 ignore."""


def take_layers(project: Project, layers: Sequence[TileLayer], file_name: str, *, replace: bool = False) -> Annotated:
    """Write layers that are known tile by tile, and the states that follow from them.

    The rules are those of every import: a feature that is new is made; a tile without a state becomes
    annotated if it holds the feature, else none here; a tile that is marked "none here" but holds
    the feature, and what a person painted unless `replace`, are left as they are and listed.

    Parameters
    ----------
    project : Project
    layers : sequence of TileLayer
        In any order; a tile may also be named by another version on its grid.
    file_name : str
        Where they come from, for the record.
    replace : bool
        Whether painted layers are replaced; the old ones go to the trash.

    Raises
    ------
    ProjectError
        If a tile is unknown or a feature cannot be called so; nothing is written then.
    ShapeError
        If a layer is not of its tile's size; nothing is written then.
    """
    project.refuse_newer()
    tiles = {place: catalog.require_tile(project.layout, place) for place in {wanted.place for wanted in layers}}
    for wanted in layers:
        check_feature_name(wanted.feature)
        if wanted.layer.shape != (wanted.place.size, wanted.place.size):
            raise ShapeError(
                f"The masks of {file_name} have shape {wanted.layer.shape}, "
                f"{wanted.place.id} is {wanted.place.size} wide.",
                "Give masks of the tiles' size.",
            )
    done = Annotated()
    _make_features(project, dict.fromkeys(wanted.feature for wanted in layers), done)
    source = LayerSource("imported", file_name, now())
    for wanted in layers:
        _settle(project, tiles[wanted.place], wanted.feature, wanted.layer, source, done, replace=replace)
    return done


def _tiles_to_annotate(project: Project, tomogram: str) -> list[Tile]:
    tiles = catalog.tiles_of(project.layout, tomogram)
    if not tiles:
        raise ProjectError(
            f"{tomogram} has no tiles to annotate.", f"Place some: tomoseg tiles add {tomogram} --at X,Y,Z --feature F"
        )
    return tiles


def _make_features(project: Project, features: Sequence[str] | Mapping[str, object], done: Annotated) -> None:
    done.new_features.extend(feature for feature in features if catalog.add_feature(project, feature))


def check_grid(path: Path, volume: VolumeReader, name: str, record: TomogramRecord, done: Annotated) -> None:
    """Refuse a volume of another shape than the tomogram's; remark on another voxel size or origin."""
    grid = volume.grid
    if grid.shape_zyx != record.shape_zyx:
        raise ShapeError(
            f"{path.name} has shape {grid.shape_zyx}, the tomogram {name} has {record.shape_zyx} (z, y, x).",
            "Give labels on the tomogram's own grid.",
        )
    if not np.issubdtype(volume.dtype, np.integer):
        done.remarks.append(f"{path.name} holds {volume.dtype}; values are rounded to whole labels.")
    if abs(grid.voxel_size_angstrom - record.voxel_size_angstrom) > VOXEL_SIZE_TOLERANCE * record.voxel_size_angstrom:
        done.remarks.append(
            f"{path.name} says {grid.voxel_size_angstrom:g} Å/voxel, {name} has {record.voxel_size_angstrom:g}; "
            "the labels are taken voxel by voxel."
        )
    if not np.allclose(grid.origin_xyz_angstrom, record.origin_xyz_angstrom, atol=0.01 * record.voxel_size_angstrom):
        done.remarks.append(
            f"{path.name} has its origin at {grid.origin_xyz_angstrom} Å, {name} at {record.origin_xyz_angstrom}; "
            "the labels are taken voxel by voxel."
        )


def cut_slice(volume: VolumeReader, place: Place) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Return what a volume holds under a tile, 0 outside, and which pixels lie inside; each shape (size, size)."""
    _, ny, nx = volume.grid.shape_zyx
    z, top, left = place.corner_zyx
    y0, y1, x0, x1 = max(top, 0), min(top + place.size, ny), max(left, 0), min(left + place.size, nx)
    values = np.zeros((place.size, place.size), volume.dtype)
    inside = np.zeros((place.size, place.size), np.bool_)
    window = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
    values[window] = volume.read_region((z, y0, x0), (1, y1 - y0, x1 - x0))[0]
    inside[window] = True
    return values, inside


def _cut_layers(volume: VolumeReader, place: Place, labels: LabelMap) -> dict[str, Layer]:
    values, inside = cut_slice(volume, place)
    whole = np.rint(values.astype(np.float64)).astype(np.int64)
    ignored = np.array(labels.ignored, np.int64)
    return {
        feature: layer_of_labels(whole, np.array(wanted, np.int64), ignored, inside)
        for feature, wanted in labels.features.items()
    }


def _settle(
    project: Project, tile: Tile, feature: str, layer: Layer, source: LayerSource, done: Annotated, *, replace: bool
) -> None:
    """Write one layer and the state that follows from it, or leave the tile and say why."""
    painter = painter_of(project.layout, tile.place)
    if painter is not None:
        done.left.append(f"{tile.place.id} is being painted by {painter}: left as it is.")
        return
    with locks.holding(project.layout.tile_claim(tile.place)):
        now_there = catalog.tile_at(project.layout, tile.place)
        _settle_held(project, now_there, feature, layer, source, done, replace=replace)


def _settle_held(
    project: Project, tile: Tile, feature: str, layer: Layer, source: LayerSource, done: Annotated, *, replace: bool
) -> None:
    holds_feature = bool((layer == FEATURE).any())
    state = tile.state_of(feature)
    if state is FeatureState.NONE_HERE:
        if holds_feature:
            done.left.append(
                f"{tile.place.id} is marked as holding no {feature}, but {int((layer == FEATURE).sum())} "
                "of its pixels are labelled: left as it is."
            )
        return
    if state is None and not holds_feature:
        _write(project, tile.place, feature, StateRecord(FeatureState.NONE_HERE, now()), None)
        done.none_here += 1
        return
    if _is_painted(project, tile.place, feature) and not replace:
        known = read_layer(project.layout, tile.place, feature)
        if known is not None and np.array_equal(known, layer):  # it says the same, and stays a person's
            done.annotated += 1
            return
        done.left.append(f"{tile.place.id} has {feature} painted by a person: left as it is without --replace.")
        return
    _write(project, tile.place, feature, StateRecord(FeatureState.ANNOTATED, now(), source), layer)
    if not holds_feature:
        done.remarks.append(f"{tile.place.id} was wanted for {feature}, but not one pixel of it is {feature}.")
    done.annotated += 1


def _is_painted(project: Project, place: Place, feature: str) -> bool:
    record = catalog.states_at(project.layout, place).get(feature)
    return record is not None and record.layer is not None and record.layer.kind == "painted"


def _write(project: Project, place: Place, feature: str, record: StateRecord, layer: Layer | None) -> None:
    """Write layer, then state, the old layer going to the trash if it differs; the caller holds the tile."""
    layout = project.layout
    refuse_painted(layout, place)
    old, path = read_layer(layout, place, feature), layout.annotation(place, feature)
    if old is not None and (layer is None or not np.array_equal(old, layer)):
        project.trash([(path, f"annotations/{place.tomogram}/{place.folder_name}/{path.name}")])
    replace_layer(layout, place, feature, layer)
    write_whole(layout.tile_state(place, feature), state_text(record))


def set_none_here(project: Project, place: Place, feature: str) -> None:
    """Mark a tile as holding none of a feature; a layer that says otherwise goes to the trash."""
    project.refuse_newer()
    catalog.require_feature(project, feature)
    tile = catalog.require_tile(project.layout, place)
    with locks.holding(project.layout.tile_claim(tile.place)):
        _write(project, tile.place, feature, StateRecord(FeatureState.NONE_HERE, now()), None)


def set_done(project: Project, place: Place, feature: str) -> int:
    """Mark a tile as annotated: what was not looked at is not the feature. Return its pixels of the feature."""
    catalog.require_feature(project, feature)
    with Painting.open(project, place, features=[feature]) as painting:
        painting.done(feature)
        painting.keep()
        return int((painting.layers[feature] == FEATURE).sum())


def annotation_listing(project: Project) -> list[dict[str, object]]:
    """Return every layer of the project: tile, feature, state, pixels of each value, and where it came from."""
    return [
        _listing(project, tile, feature)
        for tile in catalog.all_tiles(project.layout)
        for feature in sorted(tile.states)
    ]


def _listing(project: Project, tile: Tile, feature: str) -> dict[str, object]:
    layer = read_layer(project.layout, tile.place, feature) if feature != "*" else None
    record = catalog.states_at(project.layout, tile.place)[feature]
    counts = np.bincount(layer.ravel(), minlength=4).tolist() if layer is not None else None
    return {
        "tile": tile.place.id,
        "feature": feature,
        "state": str(record.state),
        "pixels": None if counts is None else dict(zip(("unseen", "not", "feature", "ignore"), counts, strict=True)),
        "source": None if record.layer is None else (record.layer.file or record.layer.kind),
    }
