"""Which words the command line knows; those of networks and jobs stand in `job_verbs`.

Wakes nothing but argparse; verbs import what they need when they run.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tomoseg_tui.cli.job_parsers import add_job_commands
from tomoseg_tui.cli.options import (
    RENDERERS,
    add_estimate_option,
    add_feature_option,
    add_job_options,
    add_render_options,
    add_tile_selection,
    non_negative_int,
    positive_float,
    positive_int,
)
from tomoseg_tui.cli.parser_helpers import (
    Parser,
    Subparsers,
    add_command,
    add_command_group,
    add_common_options,
    lazy_handler,
)

_SET_MAP_HELP = "a set of EMAN2's boxes shows F; F:negative shows none of it, ignore leaves it out; may be repeated"


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the words of one command; a first word that is no verb is a folder to open.

    Raises
    ------
    UsageError
        If the words do not go together.
    """
    parser, commands = build_parser()
    tokens = list(argv)
    if _first_positional(tokens) not in commands and not _has_program_option(tokens):
        parser = build_tui_parser()
    arguments = parser.parse_args(tokens)
    arguments.argv = tokens
    return arguments


def _has_program_option(argv: Sequence[str]) -> bool:
    return any(argument in {"-h", "--help", "--version", "--print-completion"} for argument in argv)


def _first_positional(argv: Sequence[str]) -> str | None:
    """Return the first word that is no option of all commands."""
    skip_next = False
    for argument in argv:
        if skip_next:
            skip_next = False
        elif argument in {"-p", "--project"}:
            skip_next = True
        elif not argument.startswith("-"):
            return argument
    return None


def build_tui_parser() -> argparse.ArgumentParser:
    """Return the parser of `tomoseg [DIR]`."""
    parser = Parser(prog="tomoseg", description="Open the program in a project.")
    parser.add_argument("dir", nargs="?", type=Path, metavar="DIR")
    parser.add_argument("--renderer", choices=("auto", *RENDERERS), default="auto")
    parser.add_argument("--no-mouse", action="store_true")
    add_common_options(parser)
    parser.set_defaults(run=lazy_handler("open_tui", "open_program"))
    return parser


def build_parser() -> tuple[argparse.ArgumentParser, frozenset[str]]:
    """Return the parser of all verbs, and their names."""
    parser = Parser(
        prog="tomoseg",
        description="Turn cryo-electron tomograms into labelled volumes. `tomoseg [DIR]` opens the program.",
        epilog="Exit codes: 0 done, 2 a fault that you can mend, 1 a bug of ours, 130 interrupted.",
    )
    parser.add_argument("--version", action=_VersionAction, nargs=0, help="print the version and end")
    parser.add_argument(
        "--print-completion",
        action=_CompletionAction,
        choices=("bash", "zsh", "tcsh"),
        help="print a completion script",
    )
    add_common_options(parser)
    subparsers = parser.add_subparsers(metavar="COMMAND", parser_class=Parser, title="commands")
    for add in (_add_project_commands, _add_tomogram_commands, _add_tile_commands, add_job_commands):
        add(subparsers)
    return parser, frozenset(subparsers.choices)


class _VersionAction(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_values: object) -> None:
        from tomoseg_tui import __version__

        print(f"tomoseg {__version__}")
        parser.exit()


class _CompletionAction(argparse.Action):
    def __call__(
        self, parser: argparse.ArgumentParser, _namespace: object, shell: object, _option: object = None
    ) -> None:
        import shtab

        print(shtab.complete(parser, shell=str(shell)))
        parser.exit()


def _add_project_commands(subparsers: Subparsers) -> None:
    init = add_command(subparsers, "init", "make a folder a project", lazy_handler("projects", "init"))
    init.add_argument("dir", type=Path, metavar="DIR")
    demo = add_command(subparsers, "demo", "run the whole way on the sample data", lazy_handler("demo", "demo"))
    demo.add_argument("dir", nargs="?", type=Path, metavar="DIR")
    features = add_command_group(
        subparsers, "features", "list, add or rename features", lazy_handler("projects", "features_list")
    )
    add = add_command(features, "add", "add a feature", lazy_handler("projects", "features_add"))
    add.add_argument("name")
    rename = add_command(features, "rename", "give a feature another name", lazy_handler("projects", "features_rename"))
    rename.add_argument("old")
    rename.add_argument("new")


def _add_tomogram_commands(subparsers: Subparsers) -> None:
    import_parser = add_command(
        subparsers, "import", "import tomograms, or a project of EMAN2", lazy_handler("tomograms", "import_files")
    )
    import_parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    import_parser.add_argument("--name", metavar="N", help="name in the project; the file's by default")
    copy_or_link = import_parser.add_mutually_exclusive_group()
    copy_or_link.add_argument("--copy", action="store_true", help="copy the file into the project (the default)")
    copy_or_link.add_argument("--link", action="store_true", help="leave the file where it is")
    import_parser.add_argument("--voxel-size", type=positive_float, metavar="A", help="Å per voxel of the file")
    import_parser.add_argument(
        "--polarity", choices=("dark", "bright"), default="dark", help="how protein looks in the file"
    )
    import_parser.add_argument(
        "--bin", type=positive_int, default=1, metavar="N", help="average N voxels along each axis"
    )
    import_parser.add_argument("--invert", action="store_true", help="turn densities and polarity round")
    import_parser.add_argument(
        "--bytes", choices=("signed", "unsigned"), help="how bytes are read; found out by default"
    )
    import_parser.add_argument(
        "--eman2", type=Path, metavar="DIR", help="a project of EMAN2: tomograms, boxes, tiles, masks"
    )
    import_parser.add_argument("--list", action="store_true", help="with --eman2, only tell what is there")
    import_parser.add_argument("--map", action="append", default=[], metavar="SET=F", help=_SET_MAP_HELP)
    import_parser.add_argument("--version", metavar="TAG", help="with --eman2, boxes belong to TOMOGRAM__TAG")
    preprocess = add_command(
        subparsers, "preprocess", "filter or bin tomograms into new versions", lazy_handler("tomograms", "preprocess")
    )
    preprocess.add_argument("tomograms", nargs="+", metavar="TOMOGRAM")
    preprocess.add_argument("--lowpass", type=float, default=0.25, help="cycles/voxel, 0 switches off (default .25)")
    preprocess.add_argument("--highpass", type=float, default=5.0, help="pixels of nx, 0 switches off (default 5)")
    preprocess.add_argument("--clamp", type=float, default=3.0, help="sigmas, 0 switches off (default 3)")
    preprocess.add_argument(
        "--bin", type=positive_int, default=1, metavar="N", help="average N voxels along each axis first"
    )
    preprocess.add_argument("--no-filter", action="store_true", help="bin only")
    preprocess.add_argument("--tag", default="preproc", help="what the name ends in (default preproc)")
    add_job_options(preprocess)
    add_estimate_option(preprocess)
    tomograms = add_command_group(
        subparsers, "tomograms", "list, rename or remove tomograms", lazy_handler("tomograms", "tomograms_list")
    )
    rename = add_command(
        tomograms, "rename", "give a tomogram another name", lazy_handler("tomograms", "tomograms_rename")
    )
    rename.add_argument("old")
    rename.add_argument("new")
    remove = add_command(
        tomograms, "remove", "move a tomogram to the trash", lazy_handler("tomograms", "tomograms_remove")
    )
    remove.add_argument("name")
    show = add_command(subparsers, "show", "draw a slice", lazy_handler("show", "show"))
    show.add_argument("name", metavar="NAME", help="a tomogram, map, label volume or file")
    show.add_argument("--z", type=int, metavar="N", help="slice, from 0; the middle one by default")
    show.add_argument("--at", metavar="X,Y,Z", help="draw the surroundings of a voxel")
    show.add_argument("--labels", metavar="NAME", help="label volume, map or file to draw over it")
    add_render_options(show)
    export = add_command(subparsers, "export", "write a volume into a file", lazy_handler("results", "export"))
    export.add_argument("name", metavar="NAME", help="a tomogram, map, label volume or file")
    export.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help=".mrc, .hdf or .tif")
    export.add_argument("--force", action="store_true", help="replace an existing file")


def _add_tile_commands(subparsers: Subparsers) -> None:
    tiles = add_command_group(
        subparsers, "tiles", "place, list, show or remove tiles", lazy_handler("tiles", "tiles_list")
    )
    add = add_command(tiles, "add", "place a tile", lazy_handler("tiles", "tiles_add"))
    add.add_argument("tomogram", metavar="TOMOGRAM")
    add.add_argument("--at", required=True, metavar="X,Y,Z", help="centre in voxels from the corner")
    add.add_argument("--feature", required=True, metavar="F", help="feature, or * with --negative for none of any")
    add.add_argument("--negative", action="store_true", help="the tile holds none of it")
    add.add_argument("--size", type=int, default=64, help="edge in pixels, a multiple of 16 (default 64)")
    import_parser = add_command(
        tiles, "import", "place tiles from a CSV file, or boxes of EMAN2", lazy_handler("tiles", "tiles_import")
    )
    import_parser.add_argument(
        "file", type=Path, metavar="FILE", help="columns tomogram,x,y,z,feature,kind; or EMAN2's NAME_info.json"
    )
    import_parser.add_argument("--tomogram", metavar="T", help="on which the boxes of an info file lie")
    import_parser.add_argument("--map", action="append", default=[], metavar="SET=F", help=_SET_MAP_HELP)
    show = add_command(tiles, "show", "draw tiles with their annotations", lazy_handler("show", "tiles_show"))
    show.add_argument("ids", nargs="+", metavar="ID")
    add_render_options(show)
    remove = add_command(tiles, "remove", "move tiles to the trash", lazy_handler("tiles", "tiles_remove"))
    remove.add_argument("ids", nargs="+", metavar="ID")
    annotations = add_command_group(
        subparsers, "annotations", "export, import, list or set annotations", lazy_handler("tiles", "annotations_list")
    )
    export_parser = add_command(
        annotations,
        "export",
        "write tiles and masks for napari, 3dmod, Fiji or EMAN2",
        lazy_handler("exchange", "annotations_export"),
    )
    export_parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="PATH", help=".mrc, .hdf (EMAN2), .tif, or a folder of PNGs"
    )
    add_feature_option(export_parser)
    add_tile_selection(export_parser, "tiles to write; all by default")
    export_parser.add_argument(
        "--as", dest="form", choices=("mrc", "hdf", "tif", "napari", "png"), help="by the ending if left out"
    )
    export_parser.add_argument(
        "--slab",
        type=non_negative_int,
        metavar="N",
        help="whole slices instead of tiles, N more on either side of them",
    )
    export_parser.add_argument("--force", action="store_true", help="replace existing files")
    import_masks = add_command(
        annotations,
        "import",
        "import what was exported, a label volume, or a stack of masks",
        lazy_handler("exchange", "annotations_import"),
    )
    import_masks.add_argument("file", type=Path, metavar="FILE", help="masks, labels, or the manifest of an export")
    add_tile_selection(import_masks, "tiles of a stack of masks")
    import_masks.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="K=F",
        help="label 1 (or '#ff0000') is F; 7=ignore teaches nothing",
    )
    import_masks.add_argument("--feature", metavar="F", help="feature of all masks")
    import_masks.add_argument(
        "--manifest", type=Path, metavar="FILE", help="of the export; the one beside the file by default"
    )
    import_masks.add_argument("--image", type=Path, metavar="FILE", help="densities that came back with the masks")
    import_masks.add_argument("--replace", action="store_true", help="replace what was painted too")
    set_parser = add_command(
        annotations, "set", "say that a tile is done, or holds none", lazy_handler("tiles", "annotations_set")
    )
    set_parser.add_argument("id", metavar="ID")
    set_parser.add_argument("--feature", required=True, metavar="F")
    state_group = set_parser.add_mutually_exclusive_group(required=True)
    state_group.add_argument("--none", action="store_true", help="it holds none of the feature")
    state_group.add_argument("--done", action="store_true", help="all that is not painted is not the feature")
