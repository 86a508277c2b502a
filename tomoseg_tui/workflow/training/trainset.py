"""Build training sets: gather annotated tiles with their surroundings, and choose which are held out."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, IGNORED, NOT_LOOKED_AT
from tomoseg_tui.core.holdout import pixels_to_ignore
from tomoseg_tui.core.names import base_of, check_name
from tomoseg_tui.core.patches import CONTEXT_PIXELS, CONTEXT_SLICES, TilePatches
from tomoseg_tui.core.tiles import FeatureState, Tile
from tomoseg_tui.errors import NothingLabelledError, ProjectError, TrainingError, UsageError
from tomoseg_tui.files.atomic import drafted
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.io.trainset_file import (
    SetSummary,
    SetTile,
    TileFacts,
    read_summary,
    read_training_set,
    write_training_set,
)
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.annotation_files import effective_layer
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import TomogramRecord, chain_in_words, now
from tomoseg_tui.project.software_versions import tested_versions
from tomoseg_tui.workflow.training.lineage import Earlier, earlier_of
from tomoseg_tui.workflow.training.split import fitted, hold_out_tile, split
from tomoseg_tui.workflow.volume_names import byte_sign_of

VOXEL_SIZE_TOLERANCE = 0.05
"""Tomograms of one training set, and of one network, differ by less in voxel size."""


@dataclass(frozen=True)
class SetRequest:
    """What a training set is to hold."""

    features: tuple[str, ...]
    """In the order of the network's outputs."""
    validation: float = 0.2
    """Share of the tiles to hold out, from 0 to 0.5."""
    version: str | None = None
    """Tag of the versions whose densities are taken; those the tiles were placed on if None."""
    made_from: str | None = None
    """Run whose weights the training starts from; what those have seen never judges, and its polarity is taken."""


@dataclass(frozen=True, eq=False)
class _Candidate:
    tile: Tile
    source: str
    """Version whose densities are taken."""
    record: TomogramRecord
    layers: NDArray[np.uint8]
    """Shape (f, size, size)."""
    signs: tuple[int, ...]


def build_named(
    project: Project, name: str, request: SetRequest, on_progress: Callable[[float], None] = lambda _done: None
) -> SetSummary:
    """Build a training set of the project.

    Raises
    ------
    ProjectError
        If the name is taken, or a feature is unknown.
    NothingLabelledError, TrainingError
        See `build`.
    """
    project.refuse_newer()
    path = project.layout.trainset(check_name(name, "training set"))
    if path.exists():
        raise ProjectError(f"There is a training set {name} already.", "Choose another name.")
    return build(project, name, request, path, on_progress)


def build(
    project: Project,
    name: str,
    request: SetRequest,
    path: Path,
    on_progress: Callable[[float], None] = lambda _done: None,
) -> SetSummary:
    """Gather all tiles that say something of the features, and write them into `path`.

    Raises
    ------
    NothingLabelledError
        If no tile shows one of the features.
    TrainingError
        If the tiles differ in size, or their tomograms in filters or voxel size.
    """
    summary, tiles = gather(project, name, request, on_progress)
    with drafted(path) as draft:
        write_training_set(draft, summary, tiles)
    return summary


def gather(
    project: Project, name: str, request: SetRequest, on_progress: Callable[[float], None] = lambda _done: None
) -> tuple[SetSummary, list[SetTile]]:
    """Return a training set without writing it; see `build`."""
    _check_request(project, request)
    earlier = earlier_of(project, request.made_from) if request.made_from is not None else None
    candidates, notes = _candidates(project, request)
    _refuse_mixture(candidates)
    polarity = _polarity_of_most(candidates) if earlier is None else earlier.card.polarity
    turned = sorted({c.source for c in candidates if c.record.polarity != polarity})
    if turned:
        notes.append(f"Turned to {polarity} protein: {', '.join(turned)}.")
    cut = _cut_all(project, candidates, polarity, on_progress)
    cut.sort(key=lambda tile: (tile.facts.digest, tile.facts.z, tile.facts.y, tile.facts.x))
    tiles, reason, seen_notes = split(cut, request.validation, earlier)
    notes += seen_notes
    return _summary(name, request, candidates, tiles, reason, [*notes, *_scarcity(request, tiles)], polarity), tiles


def _check_request(project: Project, request: SetRequest) -> None:
    if not request.features:
        raise UsageError("No feature is named.", "Name one: --feature NAME")
    if len(set(request.features)) < len(request.features):
        raise UsageError("A feature is named twice.", "Name each once.")
    if not 0 <= request.validation <= 0.5:
        raise UsageError(f"--validation {request.validation:g} is out of range.", "Take 0 to 0.5; 0.2 is usual.")
    for feature in request.features:
        catalog.require_feature(project, feature)


def _candidates(project: Project, request: SetRequest) -> tuple[list[_Candidate], list[str]]:
    """Return the tiles that say something of a feature, and what the user should know of the others."""
    candidates, waiting = [], Counter[str]()
    for tile in catalog.all_tiles(project.layout):
        states = [tile.state_of(feature) for feature in request.features]
        waiting.update(f for f, s in zip(request.features, states, strict=True) if s is FeatureState.WANTED)
        layers = [effective_layer(project.layout, tile, feature) for feature in request.features]
        if all(layer is None for layer in layers):
            continue
        blank = np.zeros((tile.place.size, tile.place.size), np.uint8)
        source = _source_of(project, tile, request.version)
        candidates.append(
            _Candidate(
                tile,
                source,
                catalog.tomogram(project.layout, source),
                np.stack([blank if layer is None else layer for layer in layers]),  # (f, y, x)
                tuple(_sign(state) for state in states),
            )
        )
    notes = [f"{count} tiles wait for their annotation of {feature}." for feature, count in sorted(waiting.items())]
    for index, feature in enumerate(request.features):
        if not any((candidate.layers[index] == FEATURE).any() for candidate in candidates):
            raise NothingLabelledError(
                f"No tile shows where {feature} is{f' ({waiting[feature]} wait for it)' if waiting[feature] else ''}.",
                "Annotate some: tomoseg annotations import FILE ...",
            )
    return candidates, notes


def _sign(state: FeatureState | None) -> int:
    """Return 1 where a feature is annotated, -1 where there is none, else 0: a tile that waits says nothing yet."""
    if state is None or state is FeatureState.WANTED:
        return 0
    return 1 if state.is_positive else -1


def _source_of(project: Project, tile: Tile, version: str | None) -> str:
    placed_on = tile.place.tomogram
    if version is None:
        return placed_on
    wanted = f"{base_of(placed_on)}__{version}"
    if wanted not in catalog.versions_sharing_tiles(project.layout, placed_on):
        raise TrainingError(
            f"{placed_on} has no version {wanted} with the same shape and voxel size.",
            "Make it: tomoseg preprocess, or choose another --version.",
        )
    return wanted


def _refuse_mixture(candidates: Sequence[_Candidate]) -> None:
    """Refuse tiles that one network cannot learn from together."""
    sizes = {c.tile.place.size: c.tile.place.id for c in candidates}
    if len(sizes) > 1:
        raise TrainingError(
            f"The tiles have several sizes: {', '.join(sorted(sizes.values()))}.", "Take tiles of one size."
        )
    chains = {c.source: c.record.chain for c in candidates}
    if len(set(chains.values())) > 1:
        said = "; ".join(f"{name}: {chain_in_words(chain)}" for name, chain in sorted(chains.items()))
        raise TrainingError(
            f"The tomograms of the tiles are filtered differently ({said}).",
            "Take one version of each: --version TAG",
        )
    by_size = sorted((c.record.voxel_size_angstrom, c.source) for c in candidates)
    (low, small), (high, large) = by_size[0], by_size[-1]
    if high > low * (1 + VOXEL_SIZE_TOLERANCE):
        raise TrainingError(
            f"The tomograms differ in voxel size: {small} has {low:g} Å, {large} has {high:g} Å.",
            f"Bring them to one scale: tomoseg preprocess {small} --bin {max(2, round(high / low))} --no-filter",
        )


def _polarity_of_most(candidates: Sequence[_Candidate]) -> str:
    bright = sum(c.record.polarity == "bright" for c in candidates)
    return "bright" if 2 * bright > len(candidates) else "dark"


def _cut_all(
    project: Project, candidates: Sequence[_Candidate], polarity: str, on_progress: Callable[[float], None]
) -> list[SetTile]:
    cut: list[SetTile] = []
    for source in sorted({c.source for c in candidates}):
        record = catalog.tomogram(project.layout, source)
        path = catalog.volume_path(project.layout, source, record)
        with open_volume(path, byte_sign=byte_sign_of(record)) as volume:
            for candidate in (c for c in candidates if c.source == source):
                cut.append(_cut(volume, candidate, 1 if record.polarity == polarity else -1))
                on_progress(len(cut) / len(candidates))
    return cut


def _cut(volume: VolumeReader, candidate: _Candidate, sign: int) -> SetTile:
    place, record = candidate.tile.place, candidate.record
    densities, inside = cut_surroundings(volume, place.corner_zyx, place.size)
    facts = TileFacts(
        id=place.id,
        tomogram=candidate.source,
        space=f"{base_of(place.tomogram)} {record.shape_zyx} {record.voxel_size_angstrom:.3f}",
        x=place.x,
        y=place.y,
        z=place.z,
        size=place.size,
        mean=record.mean,
        sigma=record.sigma,
        sign=sign,
        signs=candidate.signs,
        group=0,
        held_out=False,
        digest=_digest(densities, inside),
    )
    middle = np.s_[CONTEXT_SLICES, CONTEXT_PIXELS:-CONTEXT_PIXELS, CONTEXT_PIXELS:-CONTEXT_PIXELS]
    layers = np.where(inside[middle], candidate.layers, np.uint8(NOT_LOOKED_AT))
    return SetTile(facts, densities, inside, layers)


def cut_surroundings(
    volume: VolumeReader, corner_zyx: tuple[int, int, int], size: int
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    """Return a tile with its context, 0 outside the volume, and which voxels lie inside.

    Parameters
    ----------
    volume : VolumeReader
    corner_zyx : tuple of int
        First voxel of the tile itself.
    size : int
        Edge of the tile in pixels.

    Returns
    -------
    densities : ndarray of the source's type, shape (9, size + 64, size + 64) as (z, y, x)
    inside : ndarray of bool, the same shape
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
    """Return the digest by which twins are known, a tomogram imported twice among them."""
    middle = np.s_[CONTEXT_SLICES, CONTEXT_PIXELS:-CONTEXT_PIXELS, CONTEXT_PIXELS:-CONTEXT_PIXELS]
    picture = np.where(inside[middle], densities[middle].astype(np.float32), np.float32(0))
    return hashlib.sha256(picture.tobytes()).hexdigest()


def _scarcity(request: SetRequest, tiles: Sequence[SetTile]) -> list[str]:
    """Return in words which features have few tiles, or no negatives."""
    notes = []
    for index, feature in enumerate(request.features):
        if not any(tile.facts.signs[index] < 0 for tile in tiles):
            notes.append(f"No tile shows what is not {feature}; negatives keep a network from seeing it everywhere.")
    return notes


def _summary(
    name: str,
    request: SetRequest,
    candidates: Sequence[_Candidate],
    tiles: Sequence[SetTile],
    reason: str,
    notes: Sequence[str],
    polarity: str,
) -> SetSummary:
    signs = np.array([tile.facts.signs for tile in tiles])  # (n, f)
    first = candidates[0].record
    return SetSummary(
        name=name,
        features=request.features,
        tile_size=tiles[0].facts.size,
        voxel_size_angstrom=float(np.median([c.record.voxel_size_angstrom for c in candidates])),
        polarity=polarity,
        preprocessing=[msgspec.to_builtins(step) for step in first.chain],
        tomograms=tuple(sorted({tile.facts.tomogram for tile in tiles})),
        tiles=len(tiles),
        positive={f: int((signs[:, k] > 0).sum()) for k, f in enumerate(request.features)},
        negative={f: int((signs[:, k] < 0).sum()) for k, f in enumerate(request.features)},
        held_out=sum(tile.facts.held_out for tile in tiles),
        held_out_reason=reason,
        validation=request.validation,
        notes=tuple(notes),
        digest=_set_digest(tiles),
        versions=tested_versions(),
        created=now(),
    )


def _set_digest(tiles: Sequence[SetTile]) -> str:
    whole = hashlib.sha256()
    for tile in tiles:
        whole.update(tile.facts.digest.encode())
        whole.update(tile.layers.tobytes())
        whole.update(bytes([tile.facts.held_out, tile.facts.sign & 0xFF]))
    return whole.hexdigest()


def load_patches(
    path: Path, *, validation: float | None = None, earlier: Earlier | None = None
) -> tuple[SetSummary, TilePatches, list[TileFacts]]:
    """Read a training set as a network sees it: normalised, with held-out pixels kept from training.

    Parameters
    ----------
    path : Path
        A training set.
    validation : float or None
        Hold out another share than the set was built with.
    earlier : Earlier or None
        Run whose weights the training starts from; see `splitting.fitted`.
    """
    summary, tiles = fitted(*read_training_set(path), validation=validation, earlier=earlier)
    patches = TilePatches(
        densities=np.stack([normalised(tile) for tile in tiles]),  # (n, z, y, x)
        layers=_layers_to_learn(tiles),
        signs=np.array([tile.facts.signs for tile in tiles], np.int8),
        held_out=np.array([tile.facts.held_out for tile in tiles], np.bool_),
        features=summary.features,
        name=summary.name,
    )
    return summary, patches, [tile.facts for tile in tiles]


def normalised(tile: SetTile) -> NDArray[np.float32]:
    """Return densities with mean 0 and sigma 1 over the tomogram, turned if need be, 0 outside and where not finite."""
    facts = tile.facts
    values = (tile.densities.astype(np.float32) - np.float32(facts.mean)) * np.float32(facts.sign / facts.sigma)
    return np.where(tile.inside & np.isfinite(values), values, np.float32(0))


def _layers_to_learn(tiles: Sequence[SetTile]) -> NDArray[np.uint8]:
    """Return all layers, shape (n, f, y, x), with the pixels of held-out boxes ignored in training tiles."""
    held_out = [hold_out_tile(tile.facts) for tile in tiles if tile.facts.held_out]
    layers = np.stack([tile.layers for tile in tiles])
    for index, tile in enumerate(tiles):
        if not tile.facts.held_out and held_out:
            layers[index][:, pixels_to_ignore(hold_out_tile(tile.facts), held_out)] = IGNORED
    return layers


def training_sets(project: Project) -> list[SetSummary]:
    """Return what every training set of the project is, by name."""
    return [read_summary(path) for path in sorted(project.layout.trainsets.glob("[!.]*.h5"))]


def require_training_set(project: Project, name: str) -> Path:
    """Return where a training set lies, refused if there is none of that name."""
    path = project.layout.trainset(name)
    if "/" in name or not path.is_file():
        there = ", ".join(sorted(p.stem for p in project.layout.trainsets.glob("[!.]*.h5"))) or "none yet"
        raise ProjectError(
            f"There is no training set {name!r} (there are: {there}).",
            f"Build it: tomoseg trainset build {name} --feature F",
        )
    return path
