"""Which words the command line knows; those of networks and jobs stand in `job_verbs`.

Wakes nothing but argparse; verbs import what they need when they run.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tomoseg_tui.cli.job_parsers import add_job_verbs
from tomoseg_tui.cli.options import (
    RENDERERS,
    add_drawing,
    add_estimating,
    add_features,
    add_queueing,
    add_which_tiles,
    count,
    positive,
    whole,
)
from tomoseg_tui.cli.parser_helpers import Parser, Subparsers, add_common, add_family, add_verb, later

_SET_HELP = "a set of EMAN2's boxes shows F; F:negative shows none of it, ignore leaves it out; may be repeated"


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Read the words of one command; a first word that is no verb is a folder to open.

    Raises
    ------
    UsageError
        If the words do not go together.
    """
    parser, verbs = build()
    rest = list(words)
    if _first_word(rest) not in verbs and not _asks_about_program(rest):
        parser = opening_parser()
    arguments = parser.parse_args(rest)
    arguments.words = rest
    return arguments


def _asks_about_program(words: Sequence[str]) -> bool:
    return any(word in {"-h", "--help", "--version", "--print-completion"} for word in words)


def _first_word(words: Sequence[str]) -> str | None:
    """Return the first word that is no option of all commands."""
    skip = False
    for word in words:
        if skip:
            skip = False
        elif word in {"-p", "--project"}:
            skip = True
        elif not word.startswith("-"):
            return word
    return None


def opening_parser() -> argparse.ArgumentParser:
    """Return the parser of `tomoseg [DIR]`."""
    parser = Parser(prog="tomoseg", description="Open the program in a project.")
    parser.add_argument("dir", nargs="?", type=Path, metavar="DIR")
    parser.add_argument("--renderer", choices=("auto", *RENDERERS), default="auto")
    parser.add_argument("--no-mouse", action="store_true")
    add_common(parser)
    parser.set_defaults(run=later("open_tui", "open_program"))
    return parser


def build() -> tuple[argparse.ArgumentParser, frozenset[str]]:
    """Return the parser of all verbs, and their names."""
    parser = Parser(
        prog="tomoseg",
        description="Turn cryo-electron tomograms into labelled volumes. `tomoseg [DIR]` opens the program.",
        epilog="Exit codes: 0 done, 2 a fault that you can mend, 1 a bug of ours, 130 interrupted.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and end")
    parser.add_argument(
        "--print-completion", action=_Completion, choices=("bash", "zsh", "tcsh"), help="print a completion script"
    )
    add_common(parser)
    verbs = parser.add_subparsers(metavar="COMMAND", parser_class=Parser, title="commands")
    for add in (_project_verbs, _tomogram_verbs, _tile_verbs, add_job_verbs):
        add(verbs)
    return parser, frozenset(verbs.choices)


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_rest: object) -> None:
        from tomoseg_tui import __version__

        print(f"tomoseg {__version__}")
        parser.exit()


class _Completion(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, _space: object, shell: object, _option: object = None) -> None:
        import shtab

        print(shtab.complete(parser, shell=str(shell)))
        parser.exit()


def _project_verbs(verbs: Subparsers) -> None:
    init = add_verb(verbs, "init", "make a folder a project", later("projects", "init"))
    init.add_argument("dir", type=Path, metavar="DIR")
    demo = add_verb(verbs, "demo", "run the whole way on the sample data", later("demo", "demo"))
    demo.add_argument("dir", nargs="?", type=Path, metavar="DIR")
    features = add_family(verbs, "features", "list, add or rename features", later("projects", "features_list"))
    add = add_verb(features, "add", "add a feature", later("projects", "features_add"))
    add.add_argument("name")
    rename = add_verb(features, "rename", "give a feature another name", later("projects", "features_rename"))
    rename.add_argument("old")
    rename.add_argument("new")


def _tomogram_verbs(verbs: Subparsers) -> None:
    bring = add_verb(verbs, "import", "import tomograms, or a project of EMAN2", later("tomograms", "import_files"))
    bring.add_argument("files", nargs="*", type=Path, metavar="FILE")
    bring.add_argument("--name", metavar="N", help="name in the project; the file's by default")
    how = bring.add_mutually_exclusive_group()
    how.add_argument("--copy", action="store_true", help="copy the file into the project (the default)")
    how.add_argument("--link", action="store_true", help="leave the file where it is")
    bring.add_argument("--voxel-size", type=positive, metavar="A", help="Å per voxel of the file")
    bring.add_argument("--polarity", choices=("dark", "bright"), default="dark", help="how protein looks in the file")
    bring.add_argument("--bin", type=whole, default=1, metavar="N", help="average N voxels along each axis")
    bring.add_argument("--invert", action="store_true", help="turn densities and polarity round")
    bring.add_argument("--bytes", choices=("signed", "unsigned"), help="how bytes are read; found out by default")
    bring.add_argument("--eman2", type=Path, metavar="DIR", help="a project of EMAN2: tomograms, boxes, tiles, masks")
    bring.add_argument("--list", action="store_true", help="with --eman2, only tell what is there")
    bring.add_argument("--map", action="append", default=[], metavar="SET=F", help=_SET_HELP)
    bring.add_argument("--version", metavar="TAG", help="with --eman2, boxes belong to TOMOGRAM__TAG")
    clean = add_verb(verbs, "preprocess", "filter or bin tomograms into new versions", later("tomograms", "preprocess"))
    clean.add_argument("tomograms", nargs="+", metavar="TOMOGRAM")
    clean.add_argument("--lowpass", type=float, default=0.25, help="cycles/voxel, 0 switches off (default .25)")
    clean.add_argument("--highpass", type=float, default=5.0, help="pixels of nx, 0 switches off (default 5)")
    clean.add_argument("--clamp", type=float, default=3.0, help="sigmas, 0 switches off (default 3)")
    clean.add_argument("--bin", type=whole, default=1, metavar="N", help="average N voxels along each axis first")
    clean.add_argument("--no-filter", action="store_true", help="bin only")
    clean.add_argument("--tag", default="preproc", help="what the name ends in (default preproc)")
    add_queueing(clean)
    add_estimating(clean)
    tomograms = add_family(verbs, "tomograms", "list, rename or remove tomograms", later("tomograms", "tomograms_list"))
    rename = add_verb(tomograms, "rename", "give a tomogram another name", later("tomograms", "tomograms_rename"))
    rename.add_argument("old")
    rename.add_argument("new")
    remove = add_verb(tomograms, "remove", "move a tomogram to the trash", later("tomograms", "tomograms_remove"))
    remove.add_argument("name")
    show = add_verb(verbs, "show", "draw a slice", later("show", "show"))
    show.add_argument("name", metavar="NAME", help="a tomogram, map, label volume or file")
    show.add_argument("--z", type=int, metavar="N", help="slice, from 0; the middle one by default")
    show.add_argument("--at", metavar="X,Y,Z", help="draw the surroundings of a voxel")
    show.add_argument("--labels", metavar="NAME", help="label volume, map or file to draw over it")
    add_drawing(show)
    export = add_verb(verbs, "export", "write a volume into a file", later("results", "export"))
    export.add_argument("name", metavar="NAME", help="a tomogram, map, label volume or file")
    export.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help=".mrc, .hdf or .tif")
    export.add_argument("--force", action="store_true", help="replace an existing file")


def _tile_verbs(verbs: Subparsers) -> None:
    tiles = add_family(verbs, "tiles", "place, list, show or remove tiles", later("tiles", "tiles_list"))
    add = add_verb(tiles, "add", "place a tile", later("tiles", "tiles_add"))
    add.add_argument("tomogram", metavar="TOMOGRAM")
    add.add_argument("--at", required=True, metavar="X,Y,Z", help="centre in voxels from the corner")
    add.add_argument("--feature", required=True, metavar="F", help="feature, or * with --negative for none of any")
    add.add_argument("--negative", action="store_true", help="the tile holds none of it")
    add.add_argument("--size", type=int, default=64, help="edge in pixels, a multiple of 16 (default 64)")
    bring = add_verb(tiles, "import", "place tiles from a CSV file, or boxes of EMAN2", later("tiles", "tiles_import"))
    bring.add_argument(
        "file", type=Path, metavar="FILE", help="columns tomogram,x,y,z,feature,kind; or EMAN2's NAME_info.json"
    )
    bring.add_argument("--tomogram", metavar="T", help="on which the boxes of an info file lie")
    bring.add_argument("--map", action="append", default=[], metavar="SET=F", help=_SET_HELP)
    show = add_verb(tiles, "show", "draw tiles with their annotations", later("show", "tiles_show"))
    show.add_argument("ids", nargs="+", metavar="ID")
    add_drawing(show)
    remove = add_verb(tiles, "remove", "move tiles to the trash", later("tiles", "tiles_remove"))
    remove.add_argument("ids", nargs="+", metavar="ID")
    notes = add_family(
        verbs, "annotations", "export, import, list or set annotations", later("tiles", "annotations_list")
    )
    lent = add_verb(
        notes,
        "export",
        "write tiles and masks for napari, 3dmod, Fiji or EMAN2",
        later("exchange", "annotations_export"),
    )
    lent.add_argument(
        "-o", "--output", type=Path, required=True, metavar="PATH", help=".mrc, .hdf (EMAN2), .tif, or a folder of PNGs"
    )
    add_features(lent)
    add_which_tiles(lent, "tiles to write; all by default")
    lent.add_argument(
        "--as", dest="form", choices=("mrc", "hdf", "tif", "napari", "png"), help="by the ending if left out"
    )
    lent.add_argument(
        "--slab", type=count, metavar="N", help="whole slices instead of tiles, N more on either side of them"
    )
    lent.add_argument("--force", action="store_true", help="replace existing files")
    masks = add_verb(
        notes,
        "import",
        "import what was exported, a label volume, or a stack of masks",
        later("exchange", "annotations_import"),
    )
    masks.add_argument("file", type=Path, metavar="FILE", help="masks, labels, or the manifest of an export")
    add_which_tiles(masks, "tiles of a stack of masks")
    masks.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="K=F",
        help="label 1 (or '#ff0000') is F; 7=ignore teaches nothing",
    )
    masks.add_argument("--feature", metavar="F", help="feature of all masks")
    masks.add_argument(
        "--manifest", type=Path, metavar="FILE", help="of the export; the one beside the file by default"
    )
    masks.add_argument("--image", type=Path, metavar="FILE", help="densities that came back with the masks")
    masks.add_argument("--replace", action="store_true", help="replace what was painted too")
    word = add_verb(notes, "set", "say that a tile is done, or holds none", later("tiles", "annotations_set"))
    word.add_argument("id", metavar="ID")
    word.add_argument("--feature", required=True, metavar="F")
    what = word.add_mutually_exclusive_group(required=True)
    what.add_argument("--none", action="store_true", help="it holds none of the feature")
    what.add_argument("--done", action="store_true", help="all that is not painted is not the feature")
