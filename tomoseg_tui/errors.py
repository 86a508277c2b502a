"""Every fault that a user can put right.

::

    TomosegError                      fault: what is wrong; fix: what to do now
    ├── UsageError                    the command's words do not go together
    ├── TomogramError                 a volume cannot be used
    │   ├── UnreadableTomogramError   the file is damaged, or something else
    │   ├── UnknownVoxelSizeError     nobody has said how large a voxel is
    │   └── ChangedFileError          the file is no longer the one that was recorded
    ├── ShapeError                    two arrays that should match do not (also ValueError)
    ├── ProjectError                  a name is taken, missing or malformed
    │   ├── NotAProjectError          the folder holds no project
    │   └── SettingsError             project.toml says something it must not
    ├── TrainingError                 a network cannot be trained or used so
    │   ├── NothingLabelledError      no tile says where the feature is
    │   ├── DivergedError             the loss left for infinity
    │   └── DeviceFullError           a batch does not fit in the memory of a device
    ├── DiskFullError                 there is no room for a file
    └── JobError                      a job cannot be started, stopped or resumed
        ├── AlreadyRunningError       another process holds the claim
        └── WorkerLostError           the worker ended without saying why

Whoever raises says both: *fault*, what and where, expected and received; *fix*, one thing to do
now. The command line prints them and exits with 2; a worker writes them into its record.
"""


class TomosegError(Exception):
    """A fault that the user can mend.

    Parameters
    ----------
    fault : str
        What is wrong and where.
    fix : str
        One imperative that the user can carry out now.
    """

    def __init__(self, fault: str, fix: str = "") -> None:
        super().__init__(fault, fix)
        self.fault = fault
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.fault} {self.fix}".strip()


class UsageError(TomosegError):
    """The words of a command do not go together."""


class TomogramError(TomosegError):
    """A volume cannot be used."""


class UnreadableTomogramError(TomogramError):
    """A file is damaged, ends early, or is something else."""


class UnknownVoxelSizeError(TomogramError):
    """Neither the header nor the user has said how large a voxel is."""


class ChangedFileError(TomogramError):
    """A volume has changed since its record was written."""


class ShapeError(TomosegError, ValueError):
    """Two arrays that should match do not."""


class ProjectError(TomosegError):
    """A name in the project is taken, missing or malformed."""


class NotAProjectError(ProjectError):
    """A folder holds no project."""


class SettingsError(ProjectError):
    """A setting in project.toml has a value that it must not have."""


class TrainingError(TomosegError):
    """A network cannot be trained or used in this way."""


class NothingLabelledError(TrainingError):
    """No tile says where the feature is."""


class DivergedError(TrainingError):
    """The loss of a training has left for infinity."""


class DeviceFullError(TrainingError):
    """A training needs more memory than its device has; its checkpoint is as it was."""


class DiskFullError(TomosegError):
    """There is no room for a file; what was there before is whole."""


class JobError(TomosegError):
    """A job cannot be started, stopped or resumed."""


class AlreadyRunningError(JobError):
    """Another process holds the claim."""


class WorkerLostError(JobError):
    """A worker ended without saying why."""


def describe_unexpected(fault: BaseException) -> str:
    """Return type and message of an exception that nobody expected, and whose code has raised it.

    Examples
    --------
    >>> describe_unexpected(ValueError("no such axis"))
    'A bug in tomoseg: ValueError: no such axis'
    """
    module, frame = "tomoseg_tui", fault.__traceback__
    while frame is not None:
        module, frame = str(frame.tb_frame.f_globals.get("__name__")), frame.tb_next
    package = module.partition(".")[0]
    reason = " ".join(f"{type(fault).__name__}: {fault}".split())
    if package in {"tomoseg_tui", "__main__"}:
        return f"A bug in tomoseg: {reason}"
    return f"Unexpected error in {package}: {reason}"
