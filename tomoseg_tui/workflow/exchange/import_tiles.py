"""Take back what `lending` gave away: find the manifest, match every mask with its tile, and settle them all.

0 in a mask means that it is not the feature, but for a tile that nobody had begun and that comes back as empty as
it went: that stays as it is. All else goes the way of every import (`annotating.take_layers`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.annotation import FEATURE, IGNORED, NOT_FEATURE, UNLABELLED, Layer, layer_from_labels
from tomoseg_tui.core.mask_decoding import COLOUR_OFFSET, foreground_mask
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
from tomoseg_tui.workflow.annotations.import_annotations import AnnotationResult, LabelMap, TileLayer, store_layers
from tomoseg_tui.workflow.exchange.check_returned import ExportedTiles, ReturnedMasks, read_and_verify


@dataclass(frozen=True)
class TileImportRequest:
    """What came back."""

    path: Path
    """A file of masks, EMAN2's painted stack, a folder of PNGs, or the manifest itself for all its files."""
    manifest: Path | None = None
    """None: the one beside it."""
    image: Path | None = None
    """The densities that travelled along; None: those beside it."""
    feature: str | None = None
    """Whose masks they are, where the name of the file does not say."""
    labels: LabelMap | None = None
    """What the numbers mean, where they are not those that were written."""
    replace: bool = False
    """Replace also what a person has painted."""


@dataclass(frozen=True)
class ManifestMatch:
    """A manifest, and which of its files a file is."""

    path: Path
    manifest: ExportManifest
    files: tuple[tuple[str | None, Path], ...]
    """Feature, None where the name does not say, and file."""

    @property
    def folder(self) -> Path:
        """Where its files were written."""
        return self.path.parent


def find_manifest(path: Path, manifest_path: Path | None = None) -> ManifestMatch | None:
    """Return the manifest of a file: the one named, or one beside it that tells of a file of this or a shorter name.

    `out_tube_edited.tif` is taken for `out_tube.tif`, the longest such name winning.
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
    """Return a manifest with all its files of masks that are there, if all are asked for: by it or its folder."""
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
    """Return how much of a file's name a manifest knows, 0 for nothing, and the feature that goes with it."""
    names: list[tuple[str, str | None]] = [(mask.file, mask.feature) for mask in manifest.masks]
    only_feature = manifest.features[0] if len(manifest.features) == 1 else None
    names.append((manifest.image, only_feature))
    matches = [(len(name), feature) for name, feature in names if _derives_from(path.name, name)]
    return max(matches, key=lambda pair: pair[0], default=(0, None))


def _derives_from(name: str, exported_name: str) -> bool:
    """Tell whether a name is that of a file that was written, or begins with it."""
    stem = exported_name.rpartition(".")[0] or exported_name
    remainder = name[len(stem) :]
    return name == exported_name or (name.startswith(stem) and not remainder[:1].isalnum())


def import_exported_tiles(project: Project, request: TileImportRequest, match: ManifestMatch) -> AnnotationResult:
    """Take masks back that were exported.

    Parameters
    ----------
    match : FoundManifest
        As `find_manifest` returns it.

    Raises
    ------
    ShapeError
        If length, size, order or direction of what came back differ; nothing is written then.
    UsageError
        If it is not known whose masks they are, or what their values mean.
    ProjectError
        If a tile is not there any more.
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
    )


def _layers_of_file(
    exported: ExportedTiles, request: TileImportRequest, match: ManifestMatch, feature: str | None, path: Path
) -> tuple[list[TileLayer], list[str]]:
    """Return the layers of one file, and what is to be said of them."""
    if request.labels is not None:
        coloured = any(value >= COLOUR_OFFSET for value in request.labels.values)
        returned = read_and_verify(exported, path, "", _find_image(request, match, path), colours=coloured)
        return _mapped_layers(exported, returned, request.labels), list(returned.remarks)
    feature = request.feature or feature
    if feature is None:
        raise UsageError(
            f"The name {path.name} does not say whose masks it holds: exported were "
            f"{', '.join(exported.manifest.features)}.",
            "Say it: --feature F",
        )
    returned = read_and_verify(exported, path, feature, _find_image(request, match, path))
    codes, remark = _decode_masks(returned.masks, path, feature)
    layers, untouched = _labelled_layers(exported, feature, codes, returned)
    remarks = [*returned.remarks, *([remark] if remark else [])]
    if untouched:
        remarks.append(f"{path.name}: {untouched} tiles came back as empty as they went: left as they were.")
    return layers, remarks


def _find_image(request: TileImportRequest, match: ManifestMatch, path: Path) -> Path | None:
    """Return the densities that came back with a file: of its own kind first, since both were saved by one program."""
    if request.image is not None:
        return request.image
    if path.name == match.manifest.image:
        return None
    image_path = path.with_name(match.manifest.image)
    same_kind = image_path.with_suffix(path.suffix) if path.is_file() else image_path
    return next((file for file in (same_kind, image_path, match.folder / match.manifest.image) if file.exists()), None)


def _mapped_layers(exported: ExportedTiles, returned: ReturnedMasks, labels: LabelMap) -> list[TileLayer]:
    """Return the layers of masks whose numbers the user has named."""
    ignored = np.array(labels.ignored, np.int64)
    return [
        TileLayer(
            location, feature, layer_from_labels(_to_integers(mask), np.array(label_values, np.int64), ignored, inside)
        )
        for feature, label_values in labels.features.items()
        for location, mask, inside in zip(exported.places, returned.masks, returned.inside, strict=True)
    ]


def _to_integers(mask: NDArray[Any]) -> NDArray[np.int64]:
    return np.rint(np.nan_to_num(mask.astype(np.float64))).astype(np.int64)


def _decode_masks(masks: Sequence[NDArray[Any]], path: Path, feature: str) -> tuple[list[NDArray[np.uint8]], str]:
    """Return masks in our numbers, and what had to be assumed where a tool has written others."""
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
    """Return the layers of tiles that say something, and the number of those that came back as empty as they went."""
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
    """Tell whether an empty mask is no news: nobody had begun it, or it was said before that there is nothing."""
    if entry.state == FeatureState.NONE_HERE:
        tile = catalog.require_tile(exported.project.layout, location)
        return tile.state_of(feature) is not None
    unseen = decode_runs(entry.unseen, (location.size, location.size))
    return bool(unseen.all())


def _layer_from_mask(mask: NDArray[np.uint8], entry: MaskEntry) -> Layer:
    """Return the layer that a mask says, with what its numbers could not say where nothing was painted since."""
    layer = decode_layer(mask)
    layer[(layer == NOT_FEATURE) & decode_runs(entry.ignored, mask.shape)] = IGNORED
    if image_digest(mask) == entry.digest:
        layer[(layer != FEATURE) & decode_runs(entry.unseen, mask.shape)] = UNLABELLED
    return layer
