"""Options that several commands share."""

from tomoseg_tui.commands.options import COUNT, DEVICE_NAME, PATH, ExclusiveOptions, Option, flag, number, whole_number

RENDERERS = ("halfblock", "quadrant", "sextant", "octant", "braille", "ascii", "sixel", "kitty")

COMMON_OPTIONS = (
    Option(
        "-p --project", "folder of the project", kind=PATH, metavar="DIR",
        default_text="the project around the current folder",
    ),
    flag("--json", "print JSON"),
)  # fmt: skip
"""Options of all commands, before or after the command name."""

FORCE = flag("--force", "replace an existing file")
RENDER_OPTIONS = (
    Option("--width", "width of the drawing in columns", kind=COUNT, metavar="COLS", default_text="the terminal's"),
    Option("--renderer", "how to draw", choices=RENDERERS, default_text="the best for the terminal"),
    Option("-o --output", "draw to a file", kind=PATH, metavar="FILE.png", default_text="the terminal"),
    FORCE,
)
"""How and where an image is drawn."""


def feature_option(default_text: str = "") -> Option:
    """Return the option that names features; required without a default."""
    return Option(
        "--feature", "feature; may be repeated", field="features", metavar="F", is_repeated=True,
        is_required=not default_text, default_text=default_text,
    )  # fmt: skip


def tile_options(help_text: str, default_text: str) -> tuple[Option, Option]:
    """Return the options that name tiles, or all tiles of a tomogram."""
    tomogram = Option("--tomogram", "all tiles of a tomogram", metavar="T", default_text="none")
    return Option("--tiles", help_text, nargs="+", metavar="ID", default_text=default_text), tomogram


TRAINSET = Option("--trainset", "an existing training set", metavar="NAME", default_text="built from the tiles")
TRAINED_FEATURES = feature_option("those of the training set")
NETWORK = Option(
    "--network", "kind of network: default, slabnet, unet25d or eman2", default="default", metavar="NET",
    label="Network", placeholder="default",
)  # fmt: skip
EPOCHS = Option(
    "--epochs", "number of epochs", kind=COUNT, metavar="N", default_text="the network's",
    label="Epochs", placeholder="the network's",
)  # fmt: skip
DEVICE = Option(
    "--device", "auto, cpu, gpu or gpu:N; auto is a GPU that TensorFlow can use, else the CPU",
    kind=DEVICE_NAME, default="auto", metavar="D", label="Device", placeholder="auto, cpu, gpu or gpu:N",
)  # fmt: skip
SEED = Option(
    "--seed", "seed of the random numbers", kind=whole_number(0, 2**31 - 1), metavar="N",
    default_text="the project's", label="Seed", placeholder="the project's",
)  # fmt: skip
HELD_OUT_SHARE = number(0, 0.5)
VERSION = Option(
    "--version", "use the densities of the version TOMOGRAM__TAG", metavar="TAG",
    default_text="that of each tile", label="Version", placeholder="tag; that of each tile",
)  # fmt: skip

WAIT_OPTIONS = (
    flag("--wait", "wait until the job is over"),
    flag("--now", "start immediately, even if the device is busy"),
)
"""Whether the command waits for the job, and whether the job waits for its device."""


def location_options(default_text: str, here_help: str) -> ExclusiveOptions:
    """Return the options that choose where a job runs."""
    slurm = Option(
        "--slurm", "run in Slurm; settings such as partition=P,time=2:00:00,memory=16G replace the project's",
        nargs="?", metavar="K=V,...", default_text=default_text,
    )  # fmt: skip
    return ExclusiveOptions((slurm, flag("--here", here_help)))


JOB_OPTIONS = (
    location_options("as set in the project", "run on this machine, even if the project's setting is Slurm"),
    Option(
        "--after", "start when this job is done; may be repeated", metavar="JOB", is_repeated=True,
        default_text="none",
    ),
    *WAIT_OPTIONS,
)  # fmt: skip
"""Where and when a job starts, and whether the command waits for it."""
ESTIMATE = flag("--estimate", "print the time, memory and disk space that it needs, and start nothing")
