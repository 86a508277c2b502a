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

from tomoseg_tui.core.annotation import FEATURE, IGNORED, NOT_FEATURE, NOT_LOOKED_AT, Layer, layer_of_labels
from tomoseg_tui.core.mask_decoding import COLOUR, foreground
from tomoseg_tui.core.mask_encoding import are_codes, layer_of_codes, mask_of_runs
from tomoseg_tui.core.tiles import FeatureState, Place
from tomoseg_tui.errors import ProjectError, UsageError
from tomoseg_tui.io.export_manifest import (
    SUFFIX,
    MaskFacts,
    TileManifest,
    digest_of_image,
    manifests_near,
    read_manifest,
)
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.workflow.annotations.import_annotations import Annotated, LabelMap, TileLayer, take_layers
from tomoseg_tui.workflow.exchange.check_returned import Returned, Sent, read_returned


@dataclass(frozen=True)
class ReturnWish:
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
class FoundManifest:
    """A manifest, and which of its files a file is."""

    path: Path
    manifest: TileManifest
    files: tuple[tuple[str | None, Path], ...]
    """Feature, None where the name does not say, and file."""

    @property
    def folder(self) -> Path:
        """Where its files were written."""
        return self.path.parent


def find_manifest(path: Path, named: Path | None = None) -> FoundManifest | None:
    """Return the manifest of a file: the one named, or one beside it that tells of a file of this or a shorter name.

    `out_tube_edited.tif` is taken for `out_tube.tif`, the longest such name winning.
    """
    if path.name.endswith(SUFFIX) and path.is_file():
        return _all_files(path, read_manifest(path))
    if named is not None:
        manifest = read_manifest(named)
        score, feature = _closest(manifest, path)
        return _all_files(named, manifest, path) or FoundManifest(
            named, manifest, ((feature if score else None, path),)
        )
    best: tuple[int, FoundManifest] | None = None
    for file, manifest in manifests_near(path):
        whole = _all_files(file, manifest, path)
        if whole is not None:
            return whole
        score, feature = _closest(manifest, path)
        if score and (best is None or score > best[0]):
            best = (score, FoundManifest(file, manifest, ((feature, path),)))
    return best[1] if best is not None else None


def _all_files(file: Path, manifest: TileManifest, asked: Path | None = None) -> FoundManifest | None:
    """Return a manifest with all its files of masks that are there, if all are asked for: by it or its folder."""
    if asked is not None and not (
        manifest.form == "png" and asked.is_dir() and asked.name not in _mask_names(manifest)
    ):
        return None
    folder = file.parent if asked is None else asked
    there = [(mask.feature, folder / mask.file) for mask in manifest.masks if (folder / mask.file).exists()]
    if not there:
        raise ProjectError(
            f"None of the masks of {file.name} is in {folder}: {', '.join(_mask_names(manifest))}.",
            "Name the file of masks, and the manifest with --manifest.",
        )
    return FoundManifest(file, manifest, tuple(there))


def _mask_names(manifest: TileManifest) -> list[str]:
    return [mask.file for mask in manifest.masks]


def _closest(manifest: TileManifest, path: Path) -> tuple[int, str | None]:
    """Return how much of a file's name a manifest knows, 0 for nothing, and the feature that goes with it."""
    names: list[tuple[str, str | None]] = [(mask.file, mask.feature) for mask in manifest.masks]
    only = manifest.features[0] if len(manifest.features) == 1 else None
    names.append((manifest.image, only))
    found = [(len(name), feature) for name, feature in names if _goes_back_to(path.name, name)]
    return max(found, key=lambda pair: pair[0], default=(0, None))


def _goes_back_to(name: str, written: str) -> bool:
    """Tell whether a name is that of a file that was written, or begins with it."""
    stem = written.rpartition(".")[0] or written
    rest = name[len(stem) :]
    return name == written or (name.startswith(stem) and not rest[:1].isalnum())


def take_back(project: Project, wish: ReturnWish, found: FoundManifest) -> Annotated:
    """Take masks back that were exported.

    Parameters
    ----------
    project : Project
    wish : ReturnWish
    found : FoundManifest
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
    project.refuse_newer()
    sent = Sent(project, found.manifest)
    for place in sent.places:
        catalog.require_tile(project.layout, place)
    done, taken = Annotated(), []
    for feature, path in found.files:
        layers, remarks = _layers(sent, wish, found, feature, path)
        done.remarks.extend(remarks)
        taken.append((path.name, layers))
    for name, layers in taken:
        done = _joined(done, take_layers(project, layers, name, replace=wish.replace))
    return done


def _joined(one: Annotated, other: Annotated) -> Annotated:
    return Annotated(
        one.annotated + other.annotated,
        one.none_here + other.none_here,
        one.left + other.left,
        one.new_features + other.new_features,
        one.remarks + other.remarks,
    )


def _layers(
    sent: Sent, wish: ReturnWish, found: FoundManifest, feature: str | None, path: Path
) -> tuple[list[TileLayer], list[str]]:
    """Return the layers of one file, and what is to be said of them."""
    if wish.labels is not None:
        coloured = any(value >= COLOUR for value in wish.labels.values)
        returned = read_returned(sent, path, "", _image_beside(wish, found, path), colours=coloured)
        return _mapped(sent, returned, wish.labels), list(returned.remarks)
    feature = wish.feature or feature
    if feature is None:
        raise UsageError(
            f"The name {path.name} does not say whose masks it holds: exported were "
            f"{', '.join(sent.manifest.features)}.",
            "Say it: --feature F",
        )
    returned = read_returned(sent, path, feature, _image_beside(wish, found, path))
    codes, remark = _codes(returned.masks, path, feature)
    layers, untouched = _begun(sent, feature, codes, returned)
    remarks = [*returned.remarks, *([remark] if remark else [])]
    if untouched:
        remarks.append(f"{path.name}: {untouched} tiles came back as empty as they went: left as they were.")
    return layers, remarks


def _image_beside(wish: ReturnWish, found: FoundManifest, path: Path) -> Path | None:
    """Return the densities that came back with a file: of its own kind first, since both were saved by one program."""
    if wish.image is not None:
        return wish.image
    if path.name == found.manifest.image:
        return None
    written = path.with_name(found.manifest.image)
    of_kind = written.with_suffix(path.suffix) if path.is_file() else written
    return next((file for file in (of_kind, written, found.folder / found.manifest.image) if file.exists()), None)


def _mapped(sent: Sent, returned: Returned, labels: LabelMap) -> list[TileLayer]:
    """Return the layers of masks whose numbers the user has named."""
    ignored = np.array(labels.ignored, np.int64)
    return [
        TileLayer(place, feature, layer_of_labels(_whole(mask), np.array(wanted, np.int64), ignored, inside))
        for feature, wanted in labels.features.items()
        for place, mask, inside in zip(sent.places, returned.masks, returned.inside, strict=True)
    ]


def _whole(mask: NDArray[Any]) -> NDArray[np.int64]:
    return np.rint(np.nan_to_num(mask.astype(np.float64))).astype(np.int64)


def _codes(masks: Sequence[NDArray[Any]], path: Path, feature: str) -> tuple[list[NDArray[np.uint8]], str]:
    """Return masks in our numbers, and what had to be assumed where a tool has written others."""
    values = np.concatenate([mask.ravel() for mask in masks])
    if are_codes(values):
        return [mask.astype(np.uint8) for mask in masks], ""
    mask, remark = foreground(values, name=path.name, command=f"tomoseg annotations import {path} --feature {feature}")
    ends = np.cumsum([mask.size for mask in masks])[:-1]
    parts = np.split(mask.astype(np.uint8), ends)
    return [part.reshape(mask.shape) for part, mask in zip(parts, masks, strict=True)], remark


def _begun(
    sent: Sent, feature: str, codes: Sequence[NDArray[np.uint8]], returned: Returned
) -> tuple[list[TileLayer], int]:
    """Return the layers of tiles that say something, and the number of those that came back as empty as they went."""
    layers, untouched = [], 0
    for place, tile, mask, inside in zip(sent.places, sent.manifest.tiles, codes, returned.inside, strict=True):
        fact = tile.masks.get(feature)
        if not mask.any() and fact is not None and _says_nothing(sent, place, feature, fact):
            untouched += 1
            continue
        layer = layer_of_codes(mask) if fact is None else _layer_of(mask, fact)
        layer[~inside] = NOT_LOOKED_AT
        layers.append(TileLayer(place, feature, layer))
    return layers, untouched


def _says_nothing(sent: Sent, place: Place, feature: str, fact: MaskFacts) -> bool:
    """Tell whether an empty mask is no news: nobody had begun it, or it was said before that there is nothing."""
    if fact.state == FeatureState.NONE_HERE:
        tile = catalog.require_tile(sent.project.layout, place)
        return tile.state_of(feature) is not None
    unseen = mask_of_runs(fact.unseen, (place.size, place.size))
    return bool(unseen.all())


def _layer_of(mask: NDArray[np.uint8], fact: MaskFacts) -> Layer:
    """Return the layer that a mask says, with what its numbers could not say where nothing was painted since."""
    layer = layer_of_codes(mask)
    layer[(layer == NOT_FEATURE) & mask_of_runs(fact.ignored, mask.shape)] = IGNORED
    if digest_of_image(mask) == fact.digest:
        layer[(layer != FEATURE) & mask_of_runs(fact.unseen, mask.shape)] = NOT_LOOKED_AT
    return layer
