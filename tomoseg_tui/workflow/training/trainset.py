"""Build training sets: collect annotated tiles with their context, and choose which are held out."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, IGNORED, UNLABELLED
from tomoseg_tui.core.grid import SCALE_TOLERANCE
from tomoseg_tui.core.holdout import pixels_to_ignore
from tomoseg_tui.core.names import base_name, check_name
from tomoseg_tui.core.patches import CONTEXT_PIXELS, CONTEXT_SLICES, TilePatches
from tomoseg_tui.core.tiles import FeatureState, Tile
from tomoseg_tui.errors import NothingLabelledError, ProjectError, TrainingError, UsageError
from tomoseg_tui.files.atomic import atomic_output, named_os_errors
from tomoseg_tui.io.trainset_file import (
    TileMetadata,
    TrainsetSummary,
    TrainsetTile,
    read_summary,
    read_training_set,
    write_training_set,
)
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import effective_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.changes import change_files
from tomoseg_tui.project.file_state import open_tomogram, require_unchanged
from tomoseg_tui.project.records import Damage, TomogramRecord, format_filter_chain, library_versions, now, read_each
from tomoseg_tui.workflow.training.lineage import ParentRuns, parent_runs
from tomoseg_tui.workflow.training.split import apply_split, hold_out_tile, split_tiles


@dataclass(frozen=True)
class TrainsetRequest:
    """Content of a training set."""

    features: tuple[str, ...]
    """In the order of the network's outputs."""
    validation: float = 0.2
    """Share of the tiles to hold out, from 0 to 0.5."""
    version: str | None = None
    """Tag of the versions to read densities from; if None, the versions that the tiles were placed on."""
    made_from: str | None = None
    """Run whose weights the training starts from: its tiles are not used for validation, and its polarity is used."""


@dataclass(frozen=True, eq=False)
class _Candidate:
    tile: Tile
    source: str
    """Version to read the densities from."""
    record: TomogramRecord
    layers: NDArray[np.uint8]
    """Shape (f, size, size)."""
    signs: tuple[int, ...]


def build_trainset(
    project: Project, name: str, request: TrainsetRequest, on_progress: Callable[[float], None] = lambda _done: None
) -> TrainsetSummary:
    """Build a training set of the project.

    Raises
    ------
    ProjectError
        If the name is in use, or a feature is unknown.
    NothingLabelledError, TrainingError
        See `build_trainset_file`.
    """
    project.require_current_format()
    path = project.layout.trainset(check_name(name, "training set"))
    if path.exists():
        raise ProjectError(f"There is a training set {name} already.", "Choose another name.")
    summary, tiles = gather_tiles(project, name, request, on_progress)
    with change_files(project.layout, project.entry) as change, named_os_errors(path):
        if path.exists():
            raise ProjectError(f"There is a training set {name} already.", "Choose another name.")
        write_training_set(change.draft_for(path), summary, tiles)
    return summary


def build_trainset_file(
    project: Project,
    name: str,
    request: TrainsetRequest,
    path: Path,
    on_progress: Callable[[float], None] = lambda _done: None,
) -> TrainsetSummary:
    """Collect all tiles that are labelled for a feature, and write them to `path`.

    Raises
    ------
    NothingLabelledError
        If no tile shows one of the features.
    TrainingError
        If the tiles differ in size, or their tomograms in filters or voxel size.
    """
    summary, tiles = gather_tiles(project, name, request, on_progress)
    with atomic_output(path) as draft:
        write_training_set(draft, summary, tiles)
    return summary


def gather_tiles(
    project: Project, name: str, request: TrainsetRequest, on_progress: Callable[[float], None] = lambda _done: None
) -> tuple[TrainsetSummary, list[TrainsetTile]]:
    """Return a training set without writing it; see `build_trainset_file`."""
    _check_request(project, request)
    parents = parent_runs(project, request.made_from) if request.made_from is not None else None
    candidates, notes = _candidates(project, request)
    _require_uniform(candidates)
    polarity = _majority_polarity(candidates) if parents is None else parents.card.polarity
    inverted = sorted({c.source for c in candidates if c.record.polarity != polarity})
    if inverted:
        notes.append(f"Inverted to {polarity} protein: {', '.join(inverted)}.")
    set_tiles = _read_tiles(project, candidates, polarity, on_progress)
    set_tiles.sort(key=lambda tile: (tile.metadata.digest, tile.metadata.z, tile.metadata.y, tile.metadata.x))
    tiles, reason, parent_notes = split_tiles(set_tiles, request.validation, parents)
    notes += parent_notes
    return _summary(
        name, request, candidates, tiles, reason, [*notes, *_scarcity_notes(request, tiles)], polarity
    ), tiles


def _check_request(project: Project, request: TrainsetRequest) -> None:
    if not request.features:
        raise UsageError("No feature was given.", "Name one: --feature NAME")
    if len(set(request.features)) < len(request.features):
        raise UsageError("A feature was given twice.", "Name each feature once.")
    for feature in request.features:
        catalog.require_feature(project, feature)


def _candidates(project: Project, request: TrainsetRequest) -> tuple[list[_Candidate], list[str]]:
    """Return the tiles that are labelled for a feature, and notes for the user on the others."""
    candidates, unannotated = [], Counter[str]()
    for tile in catalog.all_tiles(project.layout):
        states = [tile.state_of(feature) for feature in request.features]
        unannotated.update(f for f, s in zip(request.features, states, strict=True) if s is FeatureState.WANTED)
        layers = [effective_layer(project.layout, tile, feature) for feature in request.features]
        if all(layer is None for layer in layers):
            continue
        blank = np.zeros((tile.location.size, tile.location.size), np.uint8)
        source = _source_of(project, tile, request.version)
        candidates.append(
            _Candidate(
                tile,
                source,
                catalog.load_tomogram(project.layout, source),
                np.stack([blank if layer is None else layer for layer in layers]),  # (f, y, x)
                tuple(_sign(state) for state in states),
            )
        )
    notes = [f"{count} tiles are not annotated for {feature} yet." for feature, count in sorted(unannotated.items())]
    for index, feature in enumerate(request.features):
        if not any((candidate.layers[index] == FEATURE).any() for candidate in candidates):
            raise NothingLabelledError(
                f"No tile has pixels of {feature}"
                f"{f' ({unannotated[feature]} are not annotated yet)' if unannotated[feature] else ''}.",
                "Annotate some: tomoseg annotations import FILE ...",
            )
    return candidates, notes


def _sign(state: FeatureState | None) -> int:
    """Return 1 if a feature is annotated, -1 if there is none of it, else 0 (not annotated yet)."""
    if state is None or state is FeatureState.WANTED:
        return 0
    return 1 if state.is_positive else -1


def _source_of(project: Project, tile: Tile, version: str | None) -> str:
    placed_on = tile.location.tomogram
    if version is None:
        return placed_on
    requested = f"{base_name(placed_on)}__{version}"
    if requested not in catalog.versions_sharing_tiles(project.layout, placed_on):
        raise TrainingError(
            f"{placed_on} has no version {requested} with the same shape and voxel size.",
            "Make it with tomoseg preprocess, or choose another --version.",
        )
    return requested


def _require_uniform(candidates: Sequence[_Candidate]) -> None:
    """Raise an error if the tiles differ too much for one network."""
    sizes = {c.tile.location.size: c.tile.location.id for c in candidates}
    if len(sizes) > 1:
        raise TrainingError(
            f"The tiles have several sizes: {', '.join(sorted(sizes.values()))}.", "Use tiles of one size."
        )
    chains = {c.source: c.record.chain for c in candidates}
    if len(set(chains.values())) > 1:
        filters_text = "; ".join(f"{name}: {format_filter_chain(chain)}" for name, chain in sorted(chains.items()))
        raise TrainingError(
            f"The tomograms of the tiles are filtered differently ({filters_text}).",
            "Use one version of each: --version TAG",
        )
    by_size = sorted((c.record.voxel_size_angstrom, c.source) for c in candidates)
    (low, small), (high, large) = by_size[0], by_size[-1]
    if high > low * (1 + SCALE_TOLERANCE):
        raise TrainingError(
            f"The tomograms differ in voxel size: {small} has {low:g} Å, {large} has {high:g} Å.",
            f"Bin the finer one: tomoseg preprocess {small} --bin {max(2, round(high / low))} --no-filter",
        )


def _majority_polarity(candidates: Sequence[_Candidate]) -> str:
    bright_count = sum(c.record.polarity == "bright" for c in candidates)
    return "bright" if 2 * bright_count > len(candidates) else "dark"


def _read_tiles(
    project: Project, candidates: Sequence[_Candidate], polarity: str, on_progress: Callable[[float], None]
) -> list[TrainsetTile]:
    tiles: list[TrainsetTile] = []
    for source in sorted({c.source for c in candidates}):
        record = catalog.load_tomogram(project.layout, source)
        require_unchanged(project.layout, source, record)
        with open_tomogram(project.layout, source, record) as volume:
            for candidate in (c for c in candidates if c.source == source):
                tiles.append(_read_set_tile(volume, candidate, 1 if record.polarity == polarity else -1))
                on_progress(len(tiles) / len(candidates))
    return tiles


def _read_set_tile(volume: VolumeReader, candidate: _Candidate, sign: int) -> TrainsetTile:
    location, record = candidate.tile.location, candidate.record
    densities, inside = read_with_context(volume, location.corner_zyx, location.size)
    metadata = TileMetadata(
        id=location.id,
        tomogram=candidate.source,
        space=f"{base_name(location.tomogram)} {record.shape_zyx} {record.voxel_size_angstrom:.3f}",
        x=location.x,
        y=location.y,
        z=location.z,
        size=location.size,
        mean=record.mean,
        sigma=record.sigma,
        sign=sign,
        signs=candidate.signs,
        group=0,
        held_out=False,
        digest=_digest(densities, inside),
    )
    middle = np.s_[CONTEXT_SLICES, CONTEXT_PIXELS:-CONTEXT_PIXELS, CONTEXT_PIXELS:-CONTEXT_PIXELS]
    layers = np.where(inside[middle], candidate.layers, np.uint8(UNLABELLED))
    return TrainsetTile(metadata, densities, inside, layers)


def read_with_context(
    volume: VolumeReader, corner_zyx: tuple[int, int, int], size: int
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Read a tile with its context; voxels outside the volume are 0.

    Parameters
    ----------
    corner_zyx : tuple of int
        First voxel of the tile itself.
    size : int
        Edge of the tile in pixels.

    Returns
    -------
    densities : ndarray of the volume's dtype, shape (9, size + 64, size + 64) as (z, y, x)
        The densities.
    inside : ndarray of bool, the same shape
        Which voxels are inside the volume.
    """
    context = (CONTEXT_SLICES, CONTEXT_PIXELS, CONTEXT_PIXELS)
    start = [at - around for at, around in zip(corner_zyx, context, strict=True)]
    shape = (2 * CONTEXT_SLICES + 1, size + 2 * CONTEXT_PIXELS, size + 2 * CONTEXT_PIXELS)
    low = [max(at, 0) for at in start]
    high = [min(at + n, limit) for at, n, limit in zip(start, shape, volume.grid.shape_zyx, strict=True)]
    window = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, start, strict=True))
    densities, inside = np.zeros(shape, volume.dtype), np.zeros(shape, np.bool_)
    extent = (high[0] - low[0], high[1] - low[1], high[2] - low[2])
    densities[window] = volume.read_region((low[0], low[1], low[2]), extent)
    inside[window] = True
    return densities, inside


def _digest(densities: NDArray[np.generic], inside: NDArray[np.bool_]) -> str:
    """Return a digest of a tile's own densities; equal ones belong to copies, e.g. of a tomogram imported twice."""
    middle = np.s_[CONTEXT_SLICES, CONTEXT_PIXELS:-CONTEXT_PIXELS, CONTEXT_PIXELS:-CONTEXT_PIXELS]
    image = np.where(inside[middle], densities[middle].astype(np.float32), np.float32(0))
    return hashlib.sha256(image.tobytes()).hexdigest()


def _scarcity_notes(request: TrainsetRequest, tiles: Sequence[TrainsetTile]) -> list[str]:
    """Return notes on features without negative tiles."""
    notes = []
    for index, feature in enumerate(request.features):
        if not any(tile.metadata.signs[index] < 0 for tile in tiles):
            notes.append(f"No tile is negative for {feature}; negatives keep a network from predicting it everywhere.")
    return notes


def _summary(
    name: str,
    request: TrainsetRequest,
    candidates: Sequence[_Candidate],
    tiles: Sequence[TrainsetTile],
    reason: str,
    notes: Sequence[str],
    polarity: str,
) -> TrainsetSummary:
    signs = np.array([tile.metadata.signs for tile in tiles])  # (n, f)
    first = candidates[0].record
    return TrainsetSummary(
        name=name,
        features=request.features,
        tile_size=tiles[0].metadata.size,
        voxel_size_angstrom=float(np.median([c.record.voxel_size_angstrom for c in candidates])),
        polarity=polarity,
        preprocessing=[msgspec.to_builtins(step) for step in first.chain],
        tomograms=tuple(sorted({tile.metadata.tomogram for tile in tiles})),
        tiles=len(tiles),
        positive={f: int((signs[:, k] > 0).sum()) for k, f in enumerate(request.features)},
        negative={f: int((signs[:, k] < 0).sum()) for k, f in enumerate(request.features)},
        held_out=sum(tile.metadata.held_out for tile in tiles),
        held_out_reason=reason,
        validation=request.validation,
        notes=tuple(notes),
        digest=_set_digest(tiles),
        versions=library_versions(),
        created=now(),
    )


def _set_digest(tiles: Sequence[TrainsetTile]) -> str:
    digest = hashlib.sha256()
    for tile in tiles:
        digest.update(tile.metadata.digest.encode())
        digest.update(tile.layers.tobytes())
        digest.update(bytes([tile.metadata.held_out, tile.metadata.sign & 0xFF]))
    return digest.hexdigest()


def load_patches(
    path: Path, *, validation: float | None = None, parents: ParentRuns | None = None
) -> tuple[TrainsetSummary, TilePatches, list[TileMetadata]]:
    """Read a training set as a network uses it: normalised, with held-out pixels ignored in training tiles.

    Parameters
    ----------
    validation : float or None
        Share to hold out instead of the one that the set was built with.
    parents : ParentRuns or None
        Runs whose weights the training starts from; see `apply_split`.
    """
    summary, tiles = apply_split(*read_training_set(path), validation=validation, parents=parents)
    patches = TilePatches(
        densities=np.stack([normalised_densities(tile) for tile in tiles]),  # (n, z, y, x)
        layers=_training_layers(tiles),
        signs=np.array([tile.metadata.signs for tile in tiles], np.int8),
        held_out=np.array([tile.metadata.held_out for tile in tiles], np.bool_),
        features=summary.features,
        name=summary.name,
    )
    return summary, patches, [tile.metadata for tile in tiles]


def normalised_densities(tile: TrainsetTile) -> NDArray[np.float32]:
    """Return densities with mean 0 and sigma 1 over the tomogram, inverted if necessary; 0 if outside or not finite."""
    metadata = tile.metadata
    values = (tile.densities.astype(np.float32) - np.float32(metadata.mean)) * np.float32(
        metadata.sign / metadata.sigma
    )
    return np.where(tile.inside & np.isfinite(values), values, np.float32(0))


def _training_layers(tiles: Sequence[TrainsetTile]) -> NDArray[np.uint8]:
    """Return all layers, shape (n, f, y, x); in training tiles, pixels of held-out boxes are ignored."""
    held_out = [hold_out_tile(tile.metadata) for tile in tiles if tile.metadata.held_out]
    layers = np.stack([tile.layers for tile in tiles])
    for index, tile in enumerate(tiles):
        if not tile.metadata.held_out and held_out:
            layers[index][:, pixels_to_ignore(hold_out_tile(tile.metadata), held_out)] = IGNORED
    return layers


def trainset_summaries(project: Project, damage: Damage | None = None) -> list[TrainsetSummary]:
    """Return the summaries of all training sets of the project, by name."""
    paths = sorted(project.layout.trainsets.glob("[!.]*.h5"))
    return [summary for _, summary in read_each(paths, read_summary, damage)]


def require_training_set(project: Project, name: str) -> Path:
    """Return the file of a training set; raise an error if there is none with that name."""
    path = project.layout.trainset(name)
    if "/" in name or not path.is_file():
        existing = ", ".join(sorted(p.stem for p in project.layout.trainsets.glob("[!.]*.h5"))) or "none yet"
        raise ProjectError(
            f"There is no training set {name!r} (there are: {existing}).",
            f"Build it: tomoseg trainset build {name} --feature F",
        )
    return path
