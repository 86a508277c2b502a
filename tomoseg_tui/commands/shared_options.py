"""Options that several commands have, each declared once."""

from tomoseg_tui.commands.options import COUNT, DEVICE_NAME, PATH, ExclusiveOptions, Option, flag, number, whole_number

RENDERERS = ("halfblock", "braille", "ascii", "sixel", "kitty")

COMMON_OPTIONS = (
    Option("-p --project", "the project's folder", kind=PATH, metavar="DIR"),
    flag("--json", "print JSON"),
)
"""Every command has these, before and after its name."""

FORCE = flag("--force", "replace an existing file")
RENDER_OPTIONS = (
    Option("--width", "width of the drawing in columns", kind=COUNT, metavar="COLS", default_text="the terminal's"),
    Option("--renderer", "how to draw; found out by default", choices=RENDERERS),
    Option("-o --output", "draw into a file", kind=PATH, metavar="FILE.png", default_text="the terminal"),
    FORCE,
)
"""How a picture is drawn, and into which file."""


def feature_option(*, is_required: bool = False, default_text: str = "") -> Option:
    """Return the option that names features."""
    return Option(
        "--feature", "feature; may be repeated", field="features", metavar="F", is_repeated=True,
        is_required=is_required, default_text=default_text,
    )  # fmt: skip


def tile_options(help_text: str) -> tuple[Option, Option]:
    """Return the options that name tiles, or all of a tomogram."""
    tomogram = Option("--tomogram", "all tiles of a tomogram", metavar="T", default_text="none")
    return Option("--tiles", help_text, nargs="+", metavar="ID"), tomogram


TRAINSET = Option("--trainset", "a training set that was built before", metavar="NAME", default_text="made from tiles")
NETWORK = Option(
    "--network", "default, slabnet, unet25d or eman2", default="default", metavar="NET", label="Network",
    placeholder="default",
)  # fmt: skip
EPOCHS = Option(
    "--epochs", "number of epochs", kind=COUNT, metavar="N", default_text="the network's",
    label="Epochs", placeholder="as usual",
)  # fmt: skip
DEVICE = Option(
    "--device", "auto, cpu, gpu or gpu:N; auto (the default) is a GPU that TensorFlow can use, else the CPU",
    kind=DEVICE_NAME, default="auto", metavar="D", label="Device", placeholder="auto, cpu, gpu or gpu:N",
)  # fmt: skip
SEED = Option(
    "--seed", "number that all random choices follow from", kind=whole_number(0, 2**31 - 1), metavar="N",
    default_text="the project's", label="Seed", placeholder="the project's",
)  # fmt: skip
HELD_OUT_SHARE = number(0, 0.5)
VERSION = Option(
    "--version", "take the densities of TOMOGRAM__TAG", metavar="TAG", default_text="as tiles were placed",
    label="Version", placeholder="tag; as placed",
)  # fmt: skip

WAIT_OPTIONS = (
    flag("--wait", "watch the job until it is done"),
    flag("--now", "begin at once, whatever its device is at"),
)
"""Whether the job is waited for, and whether it waits itself."""


def location_options(here_help: str) -> ExclusiveOptions:
    """Return the options that tell on which machine a job computes."""
    slurm = Option(
        "--slurm", "hand it to Slurm: partition=P,time=2:00:00,memory=16G,...", nargs="?", metavar="K=V,...",
        default_text="the project's setting",
    )  # fmt: skip
    return ExclusiveOptions((slurm, flag("--here", here_help)))


JOB_OPTIONS = (
    location_options("compute on this machine, though the project says Slurm"),
    Option("--after", "begin when this job is done; may be repeated", metavar="JOB", is_repeated=True),
    *WAIT_OPTIONS,
)
"""Where and when a job begins, and whether it is waited for."""
ESTIMATE = flag("--estimate", "say what time, memory and disk it would take, and start nothing")
