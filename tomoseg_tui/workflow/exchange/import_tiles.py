"""Import tiles that `export_tiles` exported: find the manifest, match every mask with its tile, and store the layers.

A 0 in a mask means "not the feature", except for a tile that was exported without any label and comes back empty: that
one is not changed. The rules of `import_annotations.store_layers` apply.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, IGNORED, NOT_FEATURE, UNLABELLED, Layer
from tomoseg_tui.core.image_matching import Turn
from tomoseg_tui.core.label_map import LabelMap, match_labels
from tomoseg_tui.core.mask_decoding import ValueTally, foreground_mask
from tomoseg_tui.core.mask_encoding import are_layer_codes, decode_layer, decode_runs
from tomoseg_tui.core.tiles import FeatureState, TileLocation
from tomoseg_tui.errors import ProjectError, UsageError
from tomoseg_tui.io.export_manifest import (
    SUFFIX,
    ExportManifest,
    MaskEntry,
    image_digest,
    manifests_near,
    read_manifest,
)
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.annotations.import_annotations import (
    AnnotationResult,
    TileLayer,
    layers_from_numbers,
    store_layers,
)
from tomoseg_tui.workflow.exchange.check_returned import ExportedTiles, ReturnedMasks, read_and_verify


@dataclass(frozen=True)
class TileImportRequest:
    """Returned files."""

    path: Path
    """A file of masks, EMAN2's painted stack, a folder of PNGs, or the manifest itself for all its files."""
    manifest: Path | None = None
    """None for the one beside the file."""
    image: Path | None = None
    """Returned densities; None for those beside the file."""
    feature: str | None = None
    """Feature of the masks, if the file name does not give it."""
    labels: LabelMap | None = None
    """Feature of each value, if they differ from the exported ones."""
    replace: bool = False
    """Replace painted layers too."""
    turn: Turn = field(default_factory=Turn)
    """Undoes the flips that the user knows of."""


@dataclass(frozen=True)
class ManifestMatch:
    """A manifest with its matching files."""

    path: Path
    manifest: ExportManifest
    files: tuple[tuple[str | None, Path], ...]
    """Pairs of feature and file; the feature is None if the name does not give it."""

    @property
    def folder(self) -> Path:
        """Folder of the exported files."""
        return self.path.parent


def find_manifest(path: Path, manifest_path: Path | None = None) -> ManifestMatch | None:
    """Return the manifest of a file: the given one, or one beside it with a file of this name or its beginning.

    For example, "out_tube_edited.tif" matches "out_tube.tif"; the longest match is used.
    """
    if path.name.endswith(SUFFIX) and path.is_file():
        return _match_all_files(path, read_manifest(path))
    if manifest_path is not None:
        manifest = read_manifest(manifest_path)
        score, feature = _match_by_name(manifest, path)
        return _match_all_files(manifest_path, manifest, path) or ManifestMatch(
            manifest_path, manifest, ((feature if score else None, path),)
        )
    best: tuple[int, ManifestMatch] | None = None
    for file, manifest in manifests_near(path):
        full_match = _match_all_files(file, manifest, path)
        if full_match is not None:
            return full_match
        score, feature = _match_by_name(manifest, path)
        if score and (best is None or score > best[0]):
            best = (score, ManifestMatch(file, manifest, ((feature, path),)))
    return best[1] if best is not None else None


def _match_all_files(file: Path, manifest: ExportManifest, requested: Path | None = None) -> ManifestMatch | None:
    """Return a manifest with all its existing mask files, if all are requested: by the manifest or its folder."""
    if requested is not None and not (
        manifest.form == "png" and requested.is_dir() and requested.name not in _mask_names(manifest)
    ):
        return None
    folder = file.parent if requested is None else requested
    existing = [(mask.feature, folder / mask.file) for mask in manifest.masks if (folder / mask.file).exists()]
    if not existing:
        raise ProjectError(
            f"None of the masks of {file.name} is in {folder}: {', '.join(_mask_names(manifest))}.",
            "Name the file of masks, and the manifest with --manifest.",
        )
    return ManifestMatch(file, manifest, tuple(existing))


def _mask_names(manifest: ExportManifest) -> list[str]:
    return [mask.file for mask in manifest.masks]


def _match_by_name(manifest: ExportManifest, path: Path) -> tuple[int, str | None]:
    """Return the length of the best matching name in a manifest, 0 for none, and its feature."""
    names: list[tuple[str, str | None]] = [(mask.file, mask.feature) for mask in manifest.masks]
    only_feature = manifest.features[0] if len(manifest.features) == 1 else None
    names.append((manifest.image, only_feature))
    matches = [(len(name), feature) for name, feature in names if _derives_from(path.name, name)]
    return max(matches, key=lambda pair: pair[0], default=(0, None))


def _derives_from(name: str, exported_name: str) -> bool:
    """Return whether a name is an exported name, or starts with it."""
    stem = exported_name.rpartition(".")[0] or exported_name
    remainder = name[len(stem) :]
    return name == exported_name or (name.startswith(stem) and not remainder[:1].isalnum())


def import_exported_tiles(project: Project, request: TileImportRequest, match: ManifestMatch) -> AnnotationResult:
    """Import masks that were exported.

    Raises
    ------
    ShapeError
        If length, size, order or orientation of the returned files differ; nothing is written then.
    UsageError
        If the feature of the masks, or the meaning of their values, is unknown.
    ProjectError
        If a tile no longer exists.
    """
    project.require_current_format()
    exported = ExportedTiles(project, match.manifest)
    for location in exported.places:
        catalog.require_tile(project.layout, location)
    result, layers_by_file = AnnotationResult(), []
    for feature, path in match.files:
        layers, remarks = _layers_of_file(exported, request, match, feature, path)
        result.remarks.extend(remarks)
        layers_by_file.append((path.name, layers))
    for name, layers in layers_by_file:
        result = _combine(result, store_layers(project, layers, name, replace=request.replace))
    return result


def _combine(first: AnnotationResult, second: AnnotationResult) -> AnnotationResult:
    return AnnotationResult(
        first.annotated + second.annotated,
        first.none_here + second.none_here,
        first.skipped + second.skipped,
        first.new_features + second.new_features,
        first.remarks + second.remarks,
        first.interpretations + second.interpretations,
    )


def _layers_of_file(
    exported: ExportedTiles, request: TileImportRequest, match: ManifestMatch, feature: str | None, path: Path
) -> tuple[list[TileLayer], list[str]]:
    """Return the layers of one file, and remarks."""
    if request.labels is not None:
        image, coloured = _find_image(request, match, path), request.labels.has_colours
        returned = read_and_verify(exported, path, "", image, colours=coloured, turn=request.turn)
        tally = ValueTally()
        for mask in returned.masks:
            tally.add(mask)
        matched = match_labels(request.labels, tally, path.name)
        layers = [
            TileLayer(location, feature, layer)
            for location, mask, inside in zip(exported.places, returned.masks, returned.inside, strict=True)
            for feature, layer in layers_from_numbers(matched, mask, inside).items()
        ]
        return layers, [*returned.remarks, matched.summary]
    feature = request.feature or feature
    if feature is None:
        raise UsageError(
            f"The name {path.name} does not give the feature of the masks; the exported features are "
            f"{', '.join(exported.manifest.features)}.",
            "Name it: --feature F",
        )
    returned = read_and_verify(exported, path, feature, _find_image(request, match, path), turn=request.turn)
    codes, remark = _decode_masks(returned.masks, path, feature)
    layers, untouched = _labelled_layers(exported, feature, codes, returned)
    remarks = [*returned.remarks, *([remark] if remark else [])]
    if untouched:
        remarks.append(f"{path.name}: {untouched} tiles came back unchanged and empty: left as they were.")
    return layers, remarks


def _find_image(request: TileImportRequest, match: ManifestMatch, path: Path) -> Path | None:
    """Return the returned densities of a file, preferably of the same type, as saved by one program."""
    if request.image is not None:
        return request.image
    if path.name == match.manifest.image:
        return None
    image_path = path.with_name(match.manifest.image)
    same_kind = image_path.with_suffix(path.suffix) if path.is_file() else image_path
    return next((file for file in (same_kind, image_path, match.folder / match.manifest.image) if file.exists()), None)


def _decode_masks(masks: Sequence[NDArray[Any]], path: Path, feature: str) -> tuple[list[NDArray[np.uint8]], str]:
    """Return masks in the values of this program, and the assumption made if a tool wrote others."""
    values = np.concatenate([mask.ravel() for mask in masks])
    if are_layer_codes(values):
        return [mask.astype(np.uint8) for mask in masks], ""
    mask, remark = foreground_mask(
        values, name=path.name, command=f"tomoseg annotations import {path} --feature {feature}"
    )
    ends = np.cumsum([mask.size for mask in masks])[:-1]
    parts = np.split(mask.astype(np.uint8), ends)
    return [part.reshape(mask.shape) for part, mask in zip(parts, masks, strict=True)], remark


def _labelled_layers(
    exported: ExportedTiles, feature: str, codes: Sequence[NDArray[np.uint8]], returned: ReturnedMasks
) -> tuple[list[TileLayer], int]:
    """Return the layers of tiles with changes, and the number of tiles returned empty as exported."""
    layers, untouched = [], 0
    for location, tile, mask, inside in zip(
        exported.places, exported.manifest.tiles, codes, returned.inside, strict=True
    ):
        entry = tile.masks.get(feature)
        if not mask.any() and entry is not None and _is_unchanged(exported, location, feature, entry):
            untouched += 1
            continue
        layer = decode_layer(mask) if entry is None else _layer_from_mask(mask, entry)
        layer[~inside] = UNLABELLED
        layers.append(TileLayer(location, feature, layer))
    return layers, untouched


def _is_unchanged(exported: ExportedTiles, location: TileLocation, feature: str, entry: MaskEntry) -> bool:
    """Return whether an empty mask means no change: the tile had no label or was marked "none here" when exported."""
    if entry.state == FeatureState.NONE_HERE:
        tile = catalog.require_tile(exported.project.layout, location)
        return tile.state_of(feature) is not None
    unseen = decode_runs(entry.unseen, (location.size, location.size))
    return bool(unseen.all())


def _layer_from_mask(mask: NDArray[np.uint8], entry: MaskEntry) -> Layer:
    """Return the layer of a mask, with the exported ignored and unlabelled pixels where it was not changed."""
    layer = decode_layer(mask)
    layer[(layer == NOT_FEATURE) & decode_runs(entry.ignored, mask.shape)] = IGNORED
    if image_digest(mask) == entry.digest:
        layer[(layer != FEATURE) & decode_runs(entry.unseen, mask.shape)] = UNLABELLED
    return layer
