"""Commands of tiles and of the annotations on them."""

from tomoseg_tui.commands.options import (
    PATH,
    POSITION,
    Command,
    ExclusiveOptions,
    Option,
    command_family,
    flag,
    whole_number,
)
from tomoseg_tui.commands.shared_options import RENDER_OPTIONS, feature_option, tile_options
from tomoseg_tui.commands.tomograms import SET_MAP

TILE_IDS = Option("ids", "tiles, as `tiles list` names them", nargs="+", metavar="ID")

TILES_ADD = Command(
    "tiles add",
    "place a tile",
    (
        Option("tomogram", "on which it lies", metavar="TOMOGRAM"),
        Option("--at", "centre in voxels from the corner", kind=POSITION, is_required=True, metavar="X,Y,Z"),
        Option("--feature", "feature, or * with --negative for none of any", is_required=True, metavar="F"),
        flag("--negative", "the tile holds none of it"),
        Option("--size", "edge in pixels, a multiple of 16", kind=whole_number(), default=64),
    ),
)
TILES_IMPORT = Command(
    "tiles import",
    "place tiles from a CSV file, or boxes of EMAN2",
    (
        Option("file", "columns tomogram,x,y,z,feature,kind; or EMAN2's NAME_info.json", kind=PATH, metavar="FILE"),
        Option(
            "--tomogram", "on which the boxes of an info file lie", metavar="T", default_text="the one of that name"
        ),
        SET_MAP,
    ),
)
TILES_SHOW = Command("tiles show", "draw tiles with their annotations", (TILE_IDS, *RENDER_OPTIONS))
TILES_REMOVE = Command("tiles remove", "move tiles to the trash", (TILE_IDS,))
ANNOTATIONS_EXPORT = Command(
    "annotations export",
    "write tiles and masks for napari, 3dmod, Fiji or EMAN2",
    (
        Option(
            "-o --output", ".mrc, .hdf (EMAN2), .tif, or a folder of PNGs", field="target", kind=PATH,
            is_required=True, metavar="PATH",
        ),
        feature_option(),
        *tile_options("tiles to write; all by default"),
        Option(
            "--as", "by the ending if left out", field="file_format", choices=("mrc", "hdf", "tif", "napari", "png"),
            default_text="by the ending",
        ),
        Option(
            "--slab", "whole slices instead of tiles, N more on either side of them", field="slice_margin",
            kind=whole_number(0), metavar="N", default_text="tiles", label="Slices",
            placeholder="tiles only; a number: whole slices, so many beyond them",
        ),
        flag("--force", "replace existing files"),
    ),
)  # fmt: skip
ANNOTATIONS_IMPORT = Command(
    "annotations import",
    "import what was exported, a label volume, or a stack of masks",
    (
        Option("path", "masks, labels, or the manifest of an export", kind=PATH, metavar="FILE"),
        *tile_options("tiles of a stack of masks"),
        Option(
            "--map", "label 1 (or '#ff0000') is F; 7=ignore teaches nothing", field="labels", metavar="K=F",
            is_repeated=True,
        ),
        Option("--feature", "feature of all masks", metavar="F", default_text="what the manifest says"),
        Option("--manifest", "of the export; the one beside the file by default", kind=PATH, metavar="FILE"),
        Option(
            "--image", "densities that came back with the masks", kind=PATH, metavar="FILE", default_text="found out"
        ),
        flag("--replace", "replace what was painted too"),
    ),
)  # fmt: skip
ANNOTATIONS_SET = Command(
    "annotations set",
    "say that a tile is done, or holds none",
    (
        Option("id", "the tile", metavar="ID"),
        Option("--feature", "the feature that is meant", is_required=True, metavar="F"),
        ExclusiveOptions(
            (
                flag("--none", "it holds none of the feature", stores="none", default=None, field="state"),
                flag(
                    "--done", "all that is not painted is not the feature", stores="done", default=None, field="state"
                ),
            ),
            is_required=True,
        ),
    ),
)

TILE_COMMANDS = (
    *command_family(
        "tiles", "place, list, show or remove tiles", TILES_ADD, TILES_IMPORT, TILES_SHOW, TILES_REMOVE
    ),
    *command_family(
        "annotations", "export, import, list or set annotations", ANNOTATIONS_EXPORT, ANNOTATIONS_IMPORT,
        ANNOTATIONS_SET,
    ),
)  # fmt: skip
