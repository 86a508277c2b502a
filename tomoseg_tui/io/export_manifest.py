"""The manifest of an export, JSON beside the exported files; it identifies the tile of each image on import.

``NAME.tiles.json``, ``"format": 1``::

    made_by       program and version        created   time, UTC
    form          mrc, hdf, tif, napari or png
    kind          "tiles": each image is a tile, in the order of `tiles`; "slices": whole slices of one tomogram
    shape         images or slices, y, x     y         direction of y in the files
    image         file (for PNG folder) of the densities: for tiles normalised by the tomogram's mean and sigma
                  (in PNG black to white is ±3 sigma), for slices as in the tomogram
    masks         one file (folder) per feature: {"feature", "file"}
    values        meaning of each number in the masks
    slices        null, or {"tomogram", "start", "stop"}: the exported slices, stop excluded
    tiles         for each {"id", "tomogram", "x", "y", "z", "size", "voxel_size_angstrom", "image", "masks"}:
                  `image` is a digest of the densities as written; `masks` has by feature its `state`, the `digest`
                  of the mask as written, `flipped`, the digest with its rows reversed, and the pixels `ignored` and
                  `unseen` (unlabelled) if the numbers do not show them, as ``start+length``, row by row: in masks
                  for EMAN2, which has 0 and 1 only, and in masks without any label
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.core.mask_encoding import CODES
from tomoseg_tui.errors import ProjectError
from tomoseg_tui.files.structured import MalformedError, read_json
from tomoseg_tui.io.raw_volume import output_file

FORMAT = 1
SUFFIX = ".tiles.json"
Y_DESCRIPTION = (
    "row 0 of every image is the lowest y of the tile; IMOD and EMAN2 draw it at the bottom, napari, Fiji and viewers "
    "of PNG at the top"
)


class MaskEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One exported mask."""

    state: str
    """State of the feature on the tile: wanted, annotated, none here, or empty."""
    digest: str
    flipped: str
    ignored: str = ""
    unseen: str = ""


class TileEntry(msgspec.Struct, frozen=True):
    """One exported tile."""

    id: str
    tomogram: str
    x: int
    y: int
    z: int
    size: int
    voxel_size_angstrom: float
    image: str
    masks: dict[str, MaskEntry]


class FeatureMaskFile(msgspec.Struct, frozen=True):
    """The file with the masks of a feature."""

    feature: str
    file: str


class SliceRange(msgspec.Struct, frozen=True):
    """Exported slices of a tomogram."""

    tomogram: str
    start: int
    stop: int


class ExportManifest(msgspec.Struct, frozen=True, kw_only=True):
    """One export."""

    format: int = FORMAT
    made_by: str
    created: str
    form: str
    kind: str
    shape: tuple[int, int, int]
    y: str = Y_DESCRIPTION
    image: str
    masks: tuple[FeatureMaskFile, ...]
    values: dict[str, int] = msgspec.field(default_factory=lambda: dict(CODES))
    slices: SliceRange | None = None
    tiles: tuple[TileEntry, ...]

    @property
    def features(self) -> tuple[str, ...]:
        """The features, in the order of the files."""
        return tuple(mask.feature for mask in self.masks)


def image_digest(values: NDArray[np.generic]) -> str:
    """Return a digest of the values, type and shape of an image, independent of the file format."""
    little_endian = np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<")))
    return hashlib.sha256(
        f"{little_endian.dtype.name} {little_endian.shape} ".encode() + little_endian.tobytes()
    ).hexdigest()[:16]


def write_manifest(path: Path, manifest: ExportManifest) -> None:
    """Write a manifest, replacing an existing one.

    Raises
    ------
    TomogramError
        If the file cannot be written.
    """
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    with output_file(path) as draft:
        draft.write_bytes(text + b"\n")


def read_manifest(path: Path) -> ExportManifest:
    """Read a manifest.

    Raises
    ------
    ProjectError
        If the file is missing, not a manifest, damaged, or of a newer format.
    """
    try:
        manifest = read_json(path, ExportManifest)
    except (OSError, MalformedError) as fault:
        raise ProjectError(
            f"{path} is not a manifest of exported tiles: {fault}.", f"Name the file that ends in {SUFFIX}."
        ) from fault
    if manifest.format > FORMAT:
        raise ProjectError(f"{path} is of a newer format.", "Install a newer tomoseg to use it.")
    return manifest


def manifests_near(path: Path) -> Iterator[tuple[Path, ExportManifest]]:
    """Yield the manifests beside a file, or in and beside a folder; invalid ones are skipped."""
    folders = [path, path.parent] if path.is_dir() else [path.parent]
    for folder in folders:
        for entry in sorted(folder.glob(f"*{SUFFIX}")):
            try:
                yield entry, read_manifest(entry)
            except ProjectError:
                continue
