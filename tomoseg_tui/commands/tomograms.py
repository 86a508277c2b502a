"""Commands that import, filter, show and export volumes."""

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
    "EMAN2's box set SET shows feature F; F:negative: none of F; ignore: leave the set out; may be repeated",
    metavar="SET=F",
    is_repeated=True,
    default_text="from the names",
)
VOLUME_NAME = Option("name", "a tomogram, map, label volume or file", metavar="NAME")

IMPORT = Command(
    "import",
    "import tomograms, or an EMAN2 project",
    (
        Option(
            "files", "volumes: MRC, EMAN2's HDF5 or TIFF", kind=PATH, nargs="*", metavar="FILE", default_text="none"
        ),
        Option("--name", "name in the project", metavar="N", default_text="that of the file"),
        ExclusiveOptions(
            (
                flag("--copy", "copy the file into the project; this is the default", stores=False, field="link"),
                flag("--link", "link to the file instead of copying it"),
            )
        ),
        Option(
            "--voxel-size", "voxel size of the file, Å", field="voxel_size_angstrom", kind=number(above=0), metavar="A",
            default_text="that of the header", label="Voxel size",
        ),
        Option("--polarity", "how protein looks in the file", choices=("dark", "bright"), default="dark"),
        Option("--bin", "average N voxels along each axis", field="factor", kind=COUNT, default=1, metavar="N"),
        flag("--invert", "invert the densities and the polarity"),
        Option(
            "--bytes", "how to read bytes", field="byte_sign", choices=("signed", "unsigned"), default_text="detected"
        ),
        Option(
            "--eman2", "an EMAN2 project: tomograms, boxes, tiles, masks", field="folder", kind=PATH, metavar="DIR",
            default_text="none",
        ),
        flag("--list", "with --eman2, only list the contents"),
        SET_MAP,
        Option(
            "--version", "with --eman2, the boxes belong to TOMOGRAM__TAG", metavar="TAG", default_text="detected"
        ),
    ),
)  # fmt: skip
PREPROCESS = Command(
    "preprocess",
    "filter or bin tomograms into new versions",
    (
        Option("tomograms", "tomograms, each gets a new version", nargs="+", metavar="TOMOGRAM"),
        Option(
            "--lowpass", "cut-off in cycles/voxel, 0 for none", kind=number(0, 1), default=0.25, label="Low-pass"
        ),
        Option(
            "--highpass", "cut-off in Fourier pixels of the x axis, 0 for none", kind=number(0), default=5.0,
            label="High-pass",
        ),
        Option("--clamp", "limit in sigmas from the mean, 0 for none", kind=number(0), default=3.0, label="Clamp"),
        Option(
            "--bin", "average N voxels along each axis first", field="factor", kind=COUNT, default=1, metavar="N",
            label="Bin",
        ),
        flag("--no-filter", "bin only", field="filtered", stores=False, default=True),
        Option("--tag", "last part of the name", default="preproc", label="Tag"),
        *JOB_OPTIONS,
        ESTIMATE,
    ),
)  # fmt: skip
TOMOGRAMS_RENAME = Command(
    "tomograms rename", "rename a tomogram", (Option("old", "current name"), Option("new", "new name"))
)
TOMOGRAMS_REMOVE = Command("tomograms remove", "move a tomogram to the trash", (Option("name", "the tomogram"),))
TOMOGRAMS_REFRESH = Command(
    "tomograms refresh",
    "take a file that has changed since its import as it is now",
    (
        Option("name", "the tomogram"),
        Option("--file", "new place of a linked file", kind=PATH, metavar="FILE", default_text="the recorded one"),
        Option(
            "--voxel-size", "Å per voxel", field="voxel_size_angstrom", kind=number(above=0), metavar="A",
            default_text="the header's",
        ),
        flag("--yes", "do not ask"),
    ),
)  # fmt: skip
SHOW = Command(
    "show",
    "draw a slice",
    (
        VOLUME_NAME,
        Option("--z", "slice, from 0", kind=whole_number(), metavar="N", default_text="the middle one"),
        Option("--slab", "average so many slices around it", kind=whole_number(1), metavar="N", default=1),
        Option("--smooth", "smooth by a Gaussian of this sigma, in voxels", kind=number(0), metavar="S", default=0.0),
        Option("--at", "draw the area around a voxel", kind=POSITION, metavar="X,Y,Z", default_text="the whole slice"),
        Option("--labels", "label volume, map or file to draw over the slice", metavar="NAME", default_text="none"),
        *RENDER_OPTIONS,
    ),
)
EXPORT = Command(
    "export",
    "write a volume to a file",
    (
        VOLUME_NAME,
        Option("-o --output", "file to write: .mrc, .hdf or .tif", kind=PATH, is_required=True, metavar="FILE"),
        FORCE,
    ),
)

TOMOGRAM_COMMANDS = (
    IMPORT,
    PREPROCESS,
    *command_family(
        "tomograms",
        "list, rename, remove or refresh tomograms",
        TOMOGRAMS_RENAME,
        TOMOGRAMS_REMOVE,
        TOMOGRAMS_REFRESH,
    ),
    SHOW,
    EXPORT,
)
