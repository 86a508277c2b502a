"""Take a name for what a job will make, before there is a job, and give it back where none comes of it."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from tomoseg_tui.errors import ProjectError


def free_name(folder_of: Callable[[str], Path], features: tuple[str, ...], trainset: str | None) -> str:
    """Return a name for what nobody has named: features or training set, and a number that is free."""
    stem = (trainset or "_".join(features))[:90]
    number = 1
    while folder_of(f"{stem}_{number}").exists():
        number += 1
    return f"{stem}_{number}"


def reserve_folder(folder: Path, description: str) -> Path:
    """Make a folder, so that its name is taken from now on.

    Parameters
    ----------
    description : str
        What it is the folder of, with its article, as ``a run``.

    Raises
    ------
    ProjectError
        If somebody else has just taken the name.
    """
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise ProjectError(f"There is {description} {folder.name} already.", "Choose another --name.") from error
    return folder


def release_folder(folder: Path) -> None:
    """Give a name back, because no job has come of it; what a worker has put there stays."""
    with contextlib.suppress(OSError):
        folder.rmdir()
