"""Which words the command line knows. Wakes nothing but argparse; verbs import what they need when they run."""

import argparse
import re
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from tomoseg_tui.errors import UsageError

Subparsers = Any
_SET_HELP = "a set of EMAN2's boxes shows F; F:negative shows none of it, ignore leaves it out; may be repeated"
RENDERERS = ("halfblock", "braille", "ascii", "sixel", "kitty")


class _Parser(argparse.ArgumentParser):
    """Raises our own fault where argparse would end the process."""

    def error(self, message: str) -> Any:
        """Refuse the words, naming the command's own help."""
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", f"See {self.prog} --help")


def later(module: str, function: str) -> Callable[[argparse.Namespace], int | None]:
    """Return a handler that imports its room only when it is called."""

    def handler(arguments: argparse.Namespace) -> int | None:
        found: Callable[[argparse.Namespace], int | None] = getattr(
            import_module(f"tomoseg_tui.cli.{module}"), function
        )
        return found(arguments)

    return handler


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
    parser = _Parser(prog="tomoseg", description="Open the program in a project.")
    parser.add_argument("dir", nargs="?", type=Path, metavar="DIR")
    parser.add_argument("--renderer", choices=("auto", *RENDERERS), default="auto")
    parser.add_argument("--no-mouse", action="store_true")
    _common(parser)
    parser.set_defaults(run=later("opening", "open_program"))
    return parser


def build() -> tuple[argparse.ArgumentParser, frozenset[str]]:
    """Return the parser of all verbs, and their names."""
    parser = _Parser(
        prog="tomoseg",
        description="Turn cryo-electron tomograms into labelled volumes. `tomoseg [DIR]` opens the program.",
        epilog="Exit codes: 0 done, 2 a fault that you can mend, 1 a bug of ours, 130 interrupted.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and end")
    parser.add_argument(
        "--print-completion", action=_Completion, choices=("bash", "zsh", "tcsh"), help="print a completion script"
    )
    _common(parser)
    verbs = parser.add_subparsers(metavar="COMMAND", parser_class=_Parser, title="commands")
    for add in (_project_verbs, _tomogram_verbs, _tile_verbs, _learning_verbs, _run_verb, _result_verbs, _job_verbs):
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


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-p", "--project", type=Path, default=argparse.SUPPRESS, metavar="DIR", help="the project's folder"
    )
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")


def _verb(verbs: Subparsers, name: str, text: str, handler: Callable[[argparse.Namespace], int | None]) -> Any:
    parser = verbs.add_parser(name, help=text, description=f"{text[:1].upper()}{text[1:]}.")
    parser.set_defaults(run=handler)
    _common(parser)
    return parser


def _family(verbs: Subparsers, name: str, text: str, listing: Callable[[argparse.Namespace], int | None]) -> Subparsers:
    """Add a verb with verbs of its own; alone it means its `list`."""
    parser = _verb(verbs, name, text, listing)
    inner = parser.add_subparsers(metavar="WHAT", parser_class=_Parser)
    _verb(inner, "list", f"list the {name}", listing)
    return inner


def _drawing(parser: Any) -> None:
    parser.add_argument("--width", type=int, metavar="COLS", help="width of the drawing in columns")
    parser.add_argument("--renderer", choices=RENDERERS, help="how to draw; found out by default")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.png", help="draw into a file")
    parser.add_argument("--force", action="store_true", help="replace an existing file")


def _waiting(parser: Any) -> None:
    parser.add_argument("--wait", action="store_true", help="watch the job until it is done")
    parser.add_argument("--now", action="store_true", help="begin at once, whatever its device is at")


def _where(parser: Any, here: str) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--slurm",
        nargs="?",
        const="",
        metavar="K=V,...",
        help="hand it to Slurm: partition=P,time=2:00:00,memory=16G,...",
    )
    where.add_argument("--here", action="store_true", help=here)


def _queueing(parser: Any) -> None:
    _where(parser, "compute on this machine, though the project says Slurm")
    parser.add_argument(
        "--after", action="append", default=[], metavar="JOB", help="begin when this job is done; may be repeated"
    )
    _waiting(parser)


def _estimating(parser: Any) -> None:
    parser.add_argument(
        "--estimate", action="store_true", help="say what time, memory and disk it would take, and start nothing"
    )


def _features(parser: Any, *, required: bool = False) -> None:
    parser.add_argument(
        "--feature", action="append", default=[], required=required, metavar="F", help="feature; may be repeated"
    )


def _which_tiles(parser: Any, text: str) -> None:
    parser.add_argument("--tiles", nargs="+", metavar="ID", help=text)
    parser.add_argument("--tomogram", metavar="T", help="all tiles of a tomogram")


def _project_verbs(verbs: Subparsers) -> None:
    init = _verb(verbs, "init", "make a folder a project", later("projects", "init"))
    init.add_argument("dir", type=Path, metavar="DIR")
    demo = _verb(verbs, "demo", "run the whole way on the sample data", later("demo", "demo"))
    demo.add_argument("dir", nargs="?", type=Path, metavar="DIR")
    features = _family(verbs, "features", "list, add or rename features", later("projects", "features_list"))
    add = _verb(features, "add", "add a feature", later("projects", "features_add"))
    add.add_argument("name")
    rename = _verb(features, "rename", "give a feature another name", later("projects", "features_rename"))
    rename.add_argument("old")
    rename.add_argument("new")


def _tomogram_verbs(verbs: Subparsers) -> None:
    bring = _verb(verbs, "import", "import tomograms, or a project of EMAN2", later("tomograms", "import_files"))
    bring.add_argument("files", nargs="*", type=Path, metavar="FILE")
    bring.add_argument("--name", metavar="N", help="name in the project; the file's by default")
    how = bring.add_mutually_exclusive_group()
    how.add_argument("--copy", action="store_true", help="copy the file into the project (the default)")
    how.add_argument("--link", action="store_true", help="leave the file where it is")
    bring.add_argument("--voxel-size", type=_positive, metavar="A", help="Å per voxel of the file")
    bring.add_argument("--polarity", choices=("dark", "bright"), default="dark", help="how protein looks in the file")
    bring.add_argument("--bin", type=_whole, default=1, metavar="N", help="average N voxels along each axis")
    bring.add_argument("--invert", action="store_true", help="turn densities and polarity round")
    bring.add_argument("--bytes", choices=("signed", "unsigned"), help="how bytes are read; found out by default")
    bring.add_argument("--eman2", type=Path, metavar="DIR", help="a project of EMAN2: tomograms, boxes, tiles, masks")
    bring.add_argument("--list", action="store_true", help="with --eman2, only tell what is there")
    bring.add_argument("--map", action="append", default=[], metavar="SET=F", help=_SET_HELP)
    bring.add_argument("--version", metavar="TAG", help="with --eman2, boxes belong to TOMOGRAM__TAG")
    clean = _verb(verbs, "preprocess", "filter or bin tomograms into new versions", later("tomograms", "preprocess"))
    clean.add_argument("tomograms", nargs="+", metavar="TOMOGRAM")
    clean.add_argument("--lowpass", type=float, default=0.25, help="cycles/voxel, 0 switches off (default .25)")
    clean.add_argument("--highpass", type=float, default=5.0, help="pixels of nx, 0 switches off (default 5)")
    clean.add_argument("--clamp", type=float, default=3.0, help="sigmas, 0 switches off (default 3)")
    clean.add_argument("--bin", type=_whole, default=1, metavar="N", help="average N voxels along each axis first")
    clean.add_argument("--no-filter", action="store_true", help="bin only")
    clean.add_argument("--tag", default="preproc", help="what the name ends in (default preproc)")
    _queueing(clean)
    _estimating(clean)
    tomograms = _family(verbs, "tomograms", "list, rename or remove tomograms", later("tomograms", "tomograms_list"))
    rename = _verb(tomograms, "rename", "give a tomogram another name", later("tomograms", "tomograms_rename"))
    rename.add_argument("old")
    rename.add_argument("new")
    remove = _verb(tomograms, "remove", "move a tomogram to the trash", later("tomograms", "tomograms_remove"))
    remove.add_argument("name")
    show = _verb(verbs, "show", "draw a slice", later("showing", "show"))
    show.add_argument("name", metavar="NAME", help="a tomogram, map, label volume or file")
    show.add_argument("--z", type=int, metavar="N", help="slice, from 0; the middle one by default")
    show.add_argument("--at", metavar="X,Y,Z", help="draw the surroundings of a voxel")
    show.add_argument("--labels", metavar="NAME", help="label volume, map or file to draw over it")
    _drawing(show)
    export = _verb(verbs, "export", "write a volume into a file", later("results", "export"))
    export.add_argument("name", metavar="NAME", help="a tomogram, map, label volume or file")
    export.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help=".mrc, .hdf or .tif")
    export.add_argument("--force", action="store_true", help="replace an existing file")


def _tile_verbs(verbs: Subparsers) -> None:
    tiles = _family(verbs, "tiles", "place, list, show or remove tiles", later("tiles", "tiles_list"))
    add = _verb(tiles, "add", "place a tile", later("tiles", "tiles_add"))
    add.add_argument("tomogram", metavar="TOMOGRAM")
    add.add_argument("--at", required=True, metavar="X,Y,Z", help="centre in voxels from the corner")
    add.add_argument("--feature", required=True, metavar="F", help="feature, or * with --negative for none of any")
    add.add_argument("--negative", action="store_true", help="the tile holds none of it")
    add.add_argument("--size", type=int, default=64, help="edge in pixels, a multiple of 16 (default 64)")
    bring = _verb(tiles, "import", "place tiles from a CSV file, or boxes of EMAN2", later("tiles", "tiles_import"))
    bring.add_argument(
        "file", type=Path, metavar="FILE", help="columns tomogram,x,y,z,feature,kind; or EMAN2's NAME_info.json"
    )
    bring.add_argument("--tomogram", metavar="T", help="on which the boxes of an info file lie")
    bring.add_argument("--map", action="append", default=[], metavar="SET=F", help=_SET_HELP)
    show = _verb(tiles, "show", "draw tiles with their annotations", later("showing", "tiles_show"))
    show.add_argument("ids", nargs="+", metavar="ID")
    _drawing(show)
    remove = _verb(tiles, "remove", "move tiles to the trash", later("tiles", "tiles_remove"))
    remove.add_argument("ids", nargs="+", metavar="ID")
    notes = _family(verbs, "annotations", "export, import, list or set annotations", later("tiles", "annotations_list"))
    lent = _verb(
        notes,
        "export",
        "write tiles and masks for napari, 3dmod, Fiji or EMAN2",
        later("exchanging", "annotations_export"),
    )
    lent.add_argument(
        "-o", "--output", type=Path, required=True, metavar="PATH", help=".mrc, .hdf (EMAN2), .tif, or a folder of PNGs"
    )
    _features(lent)
    _which_tiles(lent, "tiles to write; all by default")
    lent.add_argument(
        "--as", dest="form", choices=("mrc", "hdf", "tif", "napari", "png"), help="by the ending if left out"
    )
    lent.add_argument(
        "--slab", type=_count, metavar="N", help="whole slices instead of tiles, N more on either side of them"
    )
    lent.add_argument("--force", action="store_true", help="replace existing files")
    masks = _verb(
        notes,
        "import",
        "import what was exported, a label volume, or a stack of masks",
        later("exchanging", "annotations_import"),
    )
    masks.add_argument("file", type=Path, metavar="FILE", help="masks, labels, or the manifest of an export")
    _which_tiles(masks, "tiles of a stack of masks")
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
    word = _verb(notes, "set", "say that a tile is done, or holds none", later("tiles", "annotations_set"))
    word.add_argument("id", metavar="ID")
    word.add_argument("--feature", required=True, metavar="F")
    what = word.add_mutually_exclusive_group(required=True)
    what.add_argument("--none", action="store_true", help="it holds none of the feature")
    what.add_argument("--done", action="store_true", help="all that is not painted is not the feature")


def _learning_verbs(verbs: Subparsers) -> None:
    sets = _family(verbs, "trainset", "build, list or show training sets", later("learning", "trainset_list"))
    build_set = _verb(
        sets, "build", "build a training set from the annotated tiles", later("learning", "trainset_build")
    )
    build_set.add_argument("name", metavar="NAME")
    _features(build_set, required=True)
    build_set.add_argument("--validation", type=float, default=0.2, help="share of tiles held out (default 0.2)")
    build_set.add_argument("--version", metavar="TAG", help="take the densities of TOMOGRAM__TAG")
    show_set = _verb(sets, "show", "tell what a training set holds", later("learning", "trainset_show"))
    show_set.add_argument("name", metavar="NAME")
    train = _verb(verbs, "train", "train a network", later("learning", "train"))
    train.add_argument("--trainset", metavar="NAME", help="a training set that was built before")
    _features(train)
    train.add_argument("--name", metavar="RUN", help="name of the run")
    train.add_argument("--network", default="default", metavar="NET", help="default, slabnet, unet25d or eman2")
    train.add_argument("--from", dest="made_from", metavar="RUN", help="go on from the weights of a run")
    train.add_argument("--epochs", type=int, metavar="N")
    train.add_argument("--learning-rate", type=float, metavar="R")
    train.add_argument("--batch", type=int, metavar="N")
    train.add_argument("--device", type=_device, default="cpu", metavar="D", help="cpu (the default), gpu or gpu:N")
    train.add_argument("--seed", type=int, metavar="N")
    train.add_argument("--validation", type=float, metavar="SHARE", help="share of tiles held out (default 0.2)")
    train.add_argument("--version", metavar="TAG", help="take the densities of TOMOGRAM__TAG")
    _queueing(train)
    _estimating(train)
    audit = _verb(verbs, "audit", "find the tiles whose label looks wrong", later("auditing", "audit"))
    audit.add_argument("--trainset", metavar="NAME", help="a training set that was built before")
    _features(audit)
    audit.add_argument("--name", metavar="N", help="name of the audit")
    audit.add_argument("--worst", type=_whole, metavar="N", help="with --wait, tell of the N worst tiles (default 8)")
    audit.add_argument("--network", default="default", metavar="NET", help="default, slabnet, unet25d or eman2")
    audit.add_argument("--epochs", type=int, metavar="N", help="of each of four trainings (a quarter of the usual)")
    audit.add_argument("--device", type=_device, default="cpu", metavar="D", help="cpu (the default), gpu or gpu:N")
    audit.add_argument("--seed", type=int, metavar="N")
    audit.add_argument("--version", metavar="TAG", help="take the densities of TOMOGRAM__TAG")
    _drawing(audit)
    _queueing(audit)
    audits = _family(verbs, "audits", "list or show audits", later("auditing", "audits_list"))
    show_audit = _verb(audits, "show", "draw the tiles whose label looks wrong", later("auditing", "audits_show"))
    show_audit.add_argument("name", metavar="NAME")
    show_audit.add_argument("--worst", type=_whole, metavar="N", help="tell of the N worst tiles (default 8)")
    _drawing(show_audit)
    networks = _family(verbs, "networks", "list or show networks", later("learning", "networks_list"))
    show = _verb(networks, "show", "print the card of a network", later("learning", "networks_show"))
    show.add_argument("name", metavar="RUN")
    triples = _verb(networks, "triples", "draw image, annotation and output of tiles", later("showing", "triples"))
    triples.add_argument("name", metavar="RUN")
    triples.add_argument("--worst", type=_whole, metavar="N", help="the N tiles where they differ most (default 8)")
    triples.add_argument("--feature", metavar="F", help="only this feature")
    _drawing(triples)


def _run_verb(verbs: Subparsers) -> None:
    run = _verb(verbs, "run", "train, then apply, then merge, as jobs", later("running", "run"))
    _features(run, required=True)
    where = run.add_mutually_exclusive_group(required=True)
    where.add_argument("--tomogram", action="append", default=[], metavar="T", help="tomogram; may be repeated")
    where.add_argument("--all", action="store_true", help="all tomograms that the networks will fit")
    run.add_argument("--name", default="", metavar="N", help="name of the run; with several features N_FEATURE")
    run.add_argument("--together", action="store_true", help="one network for all features, not one a feature")
    run.add_argument("--network", default="default", metavar="NET", help="default, slabnet, unet25d or eman2")
    run.add_argument("--epochs", type=int, metavar="N")
    run.add_argument("--device", type=_device, default="cpu", metavar="D", help="cpu (the default), gpu or gpu:N")
    run.add_argument("--seed", type=int, metavar="N")
    run.add_argument("--labels", default="merged", metavar="NAME", help="name of the label volumes (default merged)")
    _queueing(run)


def _result_verbs(verbs: Subparsers) -> None:
    apply = _verb(verbs, "apply", "apply a network to tomograms", later("results", "apply"))
    apply.add_argument("name", metavar="RUN")
    apply.add_argument("tomograms", nargs="+", metavar="TOMOGRAM")
    _features(apply)
    apply.add_argument("--z", metavar="A:B", help="only these slices, B left out")
    apply.add_argument("--threads", type=int, metavar="N")
    apply.add_argument("--device", type=_device, default="cpu", metavar="D", help="cpu (the default), gpu or gpu:N")
    apply.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="processes that share the slabs; with gpu each takes one, with --slurm each is a task of an array",
    )
    apply.add_argument(
        "--tta",
        type=int,
        default=1,
        metavar="N",
        help="average 4 or 8 turned copies of each slice",
    )
    apply.add_argument(
        "--half", action=argparse.BooleanOptionalAction, help="half precision where it is as good (on GPUs the default)"
    )
    apply.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the map here too")
    apply.add_argument("--force", action="store_true", help="replace an existing file")
    apply.add_argument("--anyway", action="store_true", help="though the tomogram is filtered in another way")
    _queueing(apply)
    _estimating(apply)
    merge = _verb(verbs, "merge", "let maps compete and write a label volume", later("results", "merge"))
    merge.add_argument("tomogram", metavar="TOMOGRAM")
    merge.add_argument(
        "--map", action="append", default=[], metavar="RUN[:F]=T", help="threshold 0 to 1, or card; the k-th is label k"
    )
    merge.add_argument("--name", default="merged", metavar="NAME")
    merge.add_argument("-o", "--output", type=Path, metavar="FILE", help="write the labels here too")
    merge.add_argument("--force", action="store_true", help="replace an existing file")
    _queueing(merge)
    _estimating(merge)
    judge = _verb(verbs, "evaluate", "score a map or label volume against the truth", later("results", "evaluate"))
    judge.add_argument("predicted", metavar="PREDICTED")
    judge.add_argument("truth", metavar="TRUTH")
    judge.add_argument("--label", type=int, action="append", default=[], metavar="K", help="may be repeated")
    judge.add_argument("--threshold", metavar="T", help="for maps: a number, or card")
    judge.add_argument("--z", metavar="A:B", help="only these slices, B left out")


def _job_verbs(verbs: Subparsers) -> None:
    jobs = _family(verbs, "jobs", "list, watch, stop and resume jobs", later("jobs", "jobs_list"))
    for name, text in (
        ("show", "tell how a job is"),
        ("log", "print what a job has said"),
        ("stop", "stop a job and keep what is finished"),
        ("resume", "go on with a job"),
        ("kill", "end a job at once"),
    ):
        verb = _verb(jobs, name, text, later("jobs", f"jobs_{name}"))
        verb.add_argument("id", metavar="ID")
        if name == "resume":
            _where(verb, "compute on this machine, though it was in Slurm; not while Slurm has it")
            _waiting(verb)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return value


def _whole(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1")
    return value


def _count(text: str) -> int:
    return 0 if text == "0" else _whole(text)


def _device(text: str) -> str:
    if not re.fullmatch(r"cpu|gpu(:[0-9]+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is neither cpu, gpu nor gpu:N")
    return text
