"""All commands by name, in the order of the help; and those of projects and jobs, which have few options."""

from tomoseg_tui.commands.options import PATH, Command, Option, command_family, flag
from tomoseg_tui.commands.results import RESULT_COMMANDS
from tomoseg_tui.commands.shared_options import RENDERERS, WAIT_OPTIONS, location_options
from tomoseg_tui.commands.tiles import TILE_COMMANDS
from tomoseg_tui.commands.tomograms import TOMOGRAM_COMMANDS
from tomoseg_tui.commands.training import TRAINING_COMMANDS

OPEN = Command(
    "",
    "open the program in a project",
    (
        Option(
            "dir", "the project's folder, or one in it", kind=PATH, nargs="?", metavar="DIR",
            default_text="where you are",
        ),
        Option("--renderer", "how pictures are drawn", choices=("auto", *RENDERERS), default="auto"),
        flag("--no-mouse", "leave the mouse to the terminal"),
    ),
)  # fmt: skip
"""`tomoseg [DIR]`, which has no name."""
FEATURES_ADD = Command("features add", "add a feature", (Option("name", "its name"),))
FEATURES_RENAME = Command(
    "features rename",
    "give a feature another name",
    (Option("old", "name that it has"), Option("new", "name that it gets")),
)
_JOB_ID = Option("id", "number of the job", metavar="ID")
JOBS_SHOW = Command("jobs show", "tell how a job is", (_JOB_ID,))

COMMANDS = {
    command.name: command
    for command in (
        Command("init", "make a folder a project", (Option("dir", "the folder", kind=PATH, metavar="DIR"),)),
        Command(
            "demo",
            "run the whole way on the sample data",
            (Option("dir", "a new folder", kind=PATH, nargs="?", metavar="DIR", default_text="tomoseg_demo"),),
        ),
        *command_family(
            "features",
            "list, add or rename features",
            FEATURES_ADD,
            FEATURES_RENAME,
        ),
        *TOMOGRAM_COMMANDS,
        *TILE_COMMANDS,
        *TRAINING_COMMANDS,
        *RESULT_COMMANDS,
        *command_family(
            "jobs",
            "list, watch, stop and resume jobs",
            JOBS_SHOW,
            Command("jobs log", "print what a job has said", (_JOB_ID,)),
            Command("jobs stop", "stop a job and keep what is finished", (_JOB_ID,)),
            Command(
                "jobs resume",
                "go on with a job",
                (
                    _JOB_ID,
                    location_options("compute on this machine, though it was in Slurm; not while Slurm has it"),
                    *WAIT_OPTIONS,
                ),
            ),
            Command("jobs kill", "end a job at once", (_JOB_ID,)),
        ),
    )
}
