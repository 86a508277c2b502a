"""Publish a finished map or label volume in the project, and copy it to a file named by the user."""

from pathlib import Path

import msgspec

from tomoseg_tui.errors import UsageError
from tomoseg_tui.files.atomic import atomic_output, remove_drafts, require_writable, sync_to_disk
from tomoseg_tui.io.formats import MRC_SUFFIXES
from tomoseg_tui.io.mrc import copy_sparse, write_labels
from tomoseg_tui.project.file_state import measure_file_state
from tomoseg_tui.project.layout import sidecar_of
from tomoseg_tui.project.records import LabelSidecar, MapSidecar, describe_values, write_record


def publish_volume(draft: Path, target: Path, sidecar: MapSidecar | LabelSidecar) -> None:
    """Move a finished volume and its sidecar to their final names, replacing existing files.

    The old sidecar is removed first, so that no sidecar ever describes another volume. The draft keeps its name too
    (a hard link), so that an interrupted call can be repeated and leaves no files beside the target.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    new_volume, new_sidecar = draft.with_name(f"_{draft.name}"), draft.with_name(f"_{draft.name}.json")
    new_volume.unlink(missing_ok=True)
    new_volume.hardlink_to(draft)
    write_record(new_sidecar, msgspec.structs.replace(sidecar, file_state=measure_file_state(draft)))
    sidecar_of(target).unlink(missing_ok=True)
    new_volume.replace(target)
    new_sidecar.replace(sidecar_of(target))
    sync_to_disk(target.parent)


def require_result_path(target: Path, *, force: bool) -> None:
    """Raise an error if a result and its sidecar cannot be written to a path.

    Raises
    ------
    UsageError
        If the name has no suffix of MRC files.
    ProjectError
        If a file exists and `force` is not set, or the folder does not exist.
    """
    if target.suffix.lower() not in MRC_SUFFIXES:
        raise UsageError(
            f"{target.name} is not the name of an MRC file.",
            "Name a file that ends in .mrc; `tomoseg export` writes other formats afterwards.",
        )
    for path in (target, sidecar_of(target)):
        require_writable(path, force=force)


def copy_to_output(
    source: Path, target: Path, sidecar: MapSidecar | LabelSidecar, *, begun_mark: Path, force: bool
) -> None:
    """Copy a result to a file named by the user, with its sidecar beside it.

    Parameters
    ----------
    source, target : Path
        The published volume, and the user's file.
    begun_mark : Path
        A file in the job's folder, created by the first attempt: later, a file at `target` is the job's own.
    force : bool
        Replace a file that existed before the job.
    """
    require_result_path(target, force=force or begun_mark.exists())
    begun_mark.touch()
    remove_drafts(target, sidecar_of(target))
    with atomic_output(target) as draft:
        copy_sparse(source, draft)
        write_labels(draft, describe_values(sidecar))
    write_record(sidecar_of(target), sidecar)
