"""All commands by name, in the order of the help; commands of projects and jobs are declared here."""

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
            "dir", "folder of the project, or a folder in it", kind=PATH, nargs="?", metavar="DIR",
            default_text="the current folder",
        ),
        Option("--renderer", "how to draw images", choices=("auto", *RENDERERS), default="auto"),
        flag("--no-mouse", "leave the mouse to the terminal"),
    ),
)  # fmt: skip
"""`tomoseg [DIR]`, without a command name."""
FEATURES_ADD = Command("features add", "add a feature", (Option("name", "name of the feature"),))
FEATURES_RENAME = Command(
    "features rename", "rename a feature", (Option("old", "current name"), Option("new", "new name"))
)
_JOB_ID = Option("id", "number of the job", metavar="ID")
JOBS_SHOW = Command("jobs show", "show the state of a job", (_JOB_ID,))

COMMANDS = {
    command.name: command
    for command in (
        Command("init", "create a project in a folder", (Option("dir", "the folder", kind=PATH, metavar="DIR"),)),
        Command(
            "demo",
            "run all steps on the sample data",
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
            Command("jobs log", "print the log of a job", (_JOB_ID,)),
            Command("jobs stop", "stop a job; its finished parts are saved", (_JOB_ID,)),
            Command(
                "jobs resume",
                "resume a job",
                (
                    _JOB_ID,
                    location_options(
                        "where it ran before",
                        "run on this machine, even if it was in Slurm; it must be over in Slurm",
                    ),
                    *WAIT_OPTIONS,
                ),
            ),
            Command("jobs kill", "end a job immediately", (_JOB_ID,)),
        ),
    )
}
