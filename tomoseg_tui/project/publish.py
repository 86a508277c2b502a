"""Put a finished map or label volume in its place in the project, and in a file that the user has named."""

from pathlib import Path

import msgspec

from tomoseg_tui.errors import UsageError
from tomoseg_tui.files.atomic import atomic_output, remove_drafts, require_writable, sync_to_disk
from tomoseg_tui.io.formats import MRC_SUFFIXES
from tomoseg_tui.io.mrc import copy_sparse
from tomoseg_tui.project.layout import sidecar_of
from tomoseg_tui.project.records import write_record


def publish_volume(draft: Path, target: Path, sidecar: msgspec.Struct) -> None:
    """Put a finished volume and its sidecar in their place; what stood there is replaced.

    The old sidecar goes first, so that at no moment a sidecar speaks of another volume. The draft stays where it
    is, under a second name of the same file: whoever is cut off here can do all of it again, and has left nothing
    beside the target.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    new_volume, new_sidecar = draft.with_name(f"_{draft.name}"), draft.with_name(f"_{draft.name}.json")
    new_volume.unlink(missing_ok=True)
    new_volume.hardlink_to(draft)
    write_record(new_sidecar, sidecar)
    sidecar_of(target).unlink(missing_ok=True)
    new_volume.replace(target)
    new_sidecar.replace(sidecar_of(target))
    sync_to_disk(target.parent)


def require_result_path(target: Path, *, force: bool) -> None:
    """Refuse a place for a result and its sidecar that is taken, or whose ending promises another format.

    Raises
    ------
    UsageError
        If the name does not end as those of MRC files do.
    ProjectError
        If something is there and not `force`, or the folder does not exist.
    """
    if target.suffix.lower() not in MRC_SUFFIXES:
        raise UsageError(
            f"{target.name} is no name of an MRC file.",
            "Name a file that ends in .mrc; `tomoseg export` writes the other formats afterwards.",
        )
    for path in (target, sidecar_of(target)):
        require_writable(path, force=force)


def copy_to_output(source: Path, target: Path, sidecar: msgspec.Struct, *, begun_mark: Path, force: bool) -> None:
    """Write a result also where the user wants it, with its sidecar beside it.

    Parameters
    ----------
    begun_mark : Path
        A file in the job's folder, made with the first try: what is at `target` after that is the job's own.
    force : bool
        Replace what was there before the job.
    """
    require_result_path(target, force=force or begun_mark.exists())
    begun_mark.touch()
    remove_drafts(target, sidecar_of(target))
    with atomic_output(target) as draft:
        copy_sparse(source, draft)
    write_record(sidecar_of(target), sidecar)
