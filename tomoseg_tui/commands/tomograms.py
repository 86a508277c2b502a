"""Commands that bring tomograms into a project, filter them, and show and write volumes."""

from tomoseg_tui.commands.options import (
    COUNT,
    PATH,
    POSITION,
    Command,
    ExclusiveOptions,
    Option,
    command_family,
    flag,
    number,
    whole_number,
)
from tomoseg_tui.commands.shared_options import ESTIMATE, FORCE, JOB_OPTIONS, RENDER_OPTIONS

SET_MAP = Option(
    "--map",
    "a set of EMAN2's boxes shows F; F:negative shows none of it, ignore leaves it out; may be repeated",
    metavar="SET=F",
    is_repeated=True,
)
VOLUME_NAME = Option("name", "a tomogram, map, label volume or file", metavar="NAME")

IMPORT = Command(
    "import",
    "import tomograms, or a project of EMAN2",
    (
        Option("files", "volumes: MRC, EMAN2's HDF5 or TIFF", kind=PATH, nargs="*", metavar="FILE"),
        Option("--name", "name in the project; the file's by default", metavar="N"),
        ExclusiveOptions(
            (
                flag("--copy", "copy the file into the project (the default)", stores=False, field="link"),
                flag("--link", "leave the file where it is"),
            )
        ),
        Option(
            "--voxel-size", "Å per voxel of the file", field="voxel_size_angstrom", kind=number(above=0), metavar="A",
            default_text="the header's", label="Voxel size",
        ),
        Option("--polarity", "how protein looks in the file", choices=("dark", "bright"), default="dark"),
        Option("--bin", "average N voxels along each axis", field="factor", kind=COUNT, default=1, metavar="N"),
        flag("--invert", "turn densities and polarity round"),
        Option(
            "--bytes", "how bytes are read; found out by default", field="byte_sign", choices=("signed", "unsigned")
        ),
        Option(
            "--eman2", "a project of EMAN2: tomograms, boxes, tiles, masks", field="folder", kind=PATH, metavar="DIR",
            default_text="none",
        ),
        flag("--list", "with --eman2, only tell what is there"),
        SET_MAP,
        Option(
            "--version", "with --eman2, boxes belong to TOMOGRAM__TAG", metavar="TAG", default_text="found out"
        ),
    ),
)  # fmt: skip
PREPROCESS = Command(
    "preprocess",
    "filter or bin tomograms into new versions",
    (
        Option("tomograms", "tomograms, a version of each is made", nargs="+", metavar="TOMOGRAM"),
        Option(
            "--lowpass", "cycles/voxel, 0 switches off", kind=number(0, 1), default=0.25, label="Low-pass"
        ),
        Option("--highpass", "pixels of nx, 0 switches off", kind=number(0), default=5.0, label="High-pass"),
        Option("--clamp", "sigmas, 0 switches off", kind=number(0), default=3.0, label="Clamp"),
        Option(
            "--bin", "average N voxels along each axis first", field="factor", kind=COUNT, default=1, metavar="N",
            label="Bin",
        ),
        flag("--no-filter", "bin only", field="filtered", stores=False, default=True),
        Option("--tag", "what the name ends in", default="preproc", label="Tag"),
        *JOB_OPTIONS,
        ESTIMATE,
    ),
)  # fmt: skip
TOMOGRAMS_RENAME = Command(
    "tomograms rename",
    "give a tomogram another name",
    (Option("old", "name that it has"), Option("new", "name that it gets")),
)
TOMOGRAMS_REMOVE = Command("tomograms remove", "move a tomogram to the trash", (Option("name", "the tomogram"),))
SHOW = Command(
    "show",
    "draw a slice",
    (
        VOLUME_NAME,
        Option("--z", "slice, from 0; the middle one by default", kind=whole_number(), metavar="N"),
        Option(
            "--at", "draw the surroundings of a voxel", kind=POSITION, metavar="X,Y,Z", default_text="the whole slice"
        ),
        Option("--labels", "label volume, map or file to draw over it", metavar="NAME", default_text="none"),
        *RENDER_OPTIONS,
    ),
)
EXPORT = Command(
    "export",
    "write a volume into a file",
    (
        VOLUME_NAME,
        Option("-o --output", ".mrc, .hdf or .tif", kind=PATH, is_required=True, metavar="FILE"),
        FORCE,
    ),
)

TOMOGRAM_COMMANDS = (
    IMPORT,
    PREPROCESS,
    *command_family("tomograms", "list, rename or remove tomograms", TOMOGRAMS_RENAME, TOMOGRAMS_REMOVE),
    SHOW,
    EXPORT,
)
