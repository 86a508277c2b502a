"""Commands for tiles and their annotations."""

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

FLIPS = ("y", "x", "z", "transpose", "none")
TILE_IDS = Option("ids", "ids of the tiles, as in `tiles list`", nargs="+", metavar="ID")

TILES_ADD = Command(
    "tiles add",
    "place a tile",
    (
        Option("tomogram", "tomogram of the tile", metavar="TOMOGRAM"),
        Option("--at", "centre in voxels, counted from 0", kind=POSITION, is_required=True, metavar="X,Y,Z"),
        Option("--feature", "feature; * with --negative for all features", is_required=True, metavar="F"),
        flag("--negative", "the tile contains none of the feature"),
        Option("--size", "edge in pixels, a multiple of 16", kind=whole_number(), default=64),
    ),
)
TILES_IMPORT = Command(
    "tiles import",
    "place tiles from a CSV file, or from EMAN2's boxes",
    (
        Option(
            "file", "CSV with columns tomogram,x,y,z,feature,kind; or EMAN2's NAME_info.json", kind=PATH, metavar="FILE"
        ),
        Option("--tomogram", "tomogram of the boxes of an info file", metavar="T", default_text="NAME of the file"),
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
            "-o --output", ".mrc, .hdf (EMAN2), .tif, or a folder for PNGs", field="target", kind=PATH,
            is_required=True, metavar="PATH",
        ),
        feature_option("all"),
        *tile_options("tiles to write", "all"),
        Option(
            "--as", "file format", field="file_format", choices=("mrc", "hdf", "tif", "napari", "png"),
            default_text="from the file name",
        ),
        Option(
            "--slab", "write whole slices instead of tiles, with N more slices on each side", field="slice_margin",
            kind=whole_number(0), metavar="N", default_text="tiles", label="Slices",
            placeholder="tiles only; or N: whole slices, and N more on each side",
        ),
        flag("--force", "replace existing files"),
    ),
)  # fmt: skip
ANNOTATIONS_IMPORT = Command(
    "annotations import",
    "import exported masks, a label volume, or a stack of masks",
    (
        Option("path", "masks, labels, or the manifest of an export", kind=PATH, metavar="FILE"),
        *tile_options("tiles of a stack of masks", "those of the export"),
        Option(
            "--map", "label K (a number, 1-136, '*' for all above 0, or '#ff0000') is feature F; 7=ignore is not "
            "trained on; may be repeated", field="labels", metavar="K=F", is_repeated=True, default_text="none",
        ),
        Option("--feature", "feature of all masks", metavar="F", default_text="that of the manifest"),
        Option(
            "--manifest", "manifest of the export", kind=PATH, metavar="FILE", default_text="the one beside FILE"
        ),
        Option(
            "--image", "image that was returned with the masks", kind=PATH, metavar="FILE",
            default_text="detected",
        ),
        Option(
            "--flip", "FILE is flipped along y, x or z, or x and y are swapped (transpose, undone first); none: it is "
            "not, whatever its outlines say; may be repeated", choices=FLIPS, is_repeated=True, metavar="AXIS",
            default_text="detected where it can be",
        ),
        flag("--replace", "also replace painted annotations"),
    ),
)  # fmt: skip
ANNOTATIONS_SET = Command(
    "annotations set",
    "mark a tile as done, or as containing none of a feature",
    (
        Option("id", "id of the tile", metavar="ID"),
        Option("--feature", "the feature", is_required=True, metavar="F"),
        ExclusiveOptions(
            (
                flag("--none", "the tile contains none of the feature", stores="none", default=None, field="state"),
                flag(
                    "--done",
                    "the tile is done: pixels without annotation are not the feature",
                    stores="done",
                    default=None,
                    field="state",
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
