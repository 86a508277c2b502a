"""Take a tomogram's file as it is now: measure it again, and say what was made of it as it was."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tomoseg_tui.errors import ShapeError, UnknownVoxelSizeError, UsageError
from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.file_state import find_tomogram_change, measure_file_state
from tomoseg_tui.project.records import TomogramRecord, write_record
from tomoseg_tui.workflow.tomograms.header_checks import is_plausible_voxel_size
from tomoseg_tui.workflow.tomograms.import_tomograms import byte_sign_of, measure_densities
from tomoseg_tui.workflow.tomograms.renaming import require_no_running_jobs


@dataclass(frozen=True)
class RefreshPlan:
    """A tomogram as it would be recorded."""

    name: str
    record: TomogramRecord
    """The new record."""
    changes: tuple[str, ...]
    """What differs from the old record, as sentences; empty if nothing does."""
    consequences: tuple[str, ...]
    """What was made of the tomogram as it was, as sentences."""


def plan_refresh(
    project: Project, name: str, *, file: Path | None = None, voxel_size_angstrom: float | None = None
) -> RefreshPlan:
    """Measure a tomogram's file; nothing is written.

    Parameters
    ----------
    file : Path, optional
        New place of a linked file.
    voxel_size_angstrom : float, optional
        Voxel size instead of that of the header.

    Raises
    ------
    ProjectError
        If there is no such tomogram, its file is missing, or a job is running.
    ShapeError
        If the file has another shape, and tiles are outside it.
    UnknownVoxelSizeError
        If the voxel size is not known.
    """
    project.require_current_format()
    old = catalog.load_tomogram(project.layout, name)
    require_no_running_jobs(project.layout)
    if file is not None and not old.linked:
        raise UsageError(f"{name} is not linked; its file is in the project.", "Leave --file out.")
    path = file.resolve() if file is not None else catalog.volume_path(project.layout, name, old)
    with open_volume(path, byte_sign=old.byte_sign) as source:
        if source.compressed:
            raise UsageError(f"{path.name} is compressed and cannot be linked.", "Unpack it, or import it as a copy.")
        statistics = measure_densities(path, source)
        new = msgspec.structs.replace(
            old,
            file=str(path) if old.linked else old.file,
            shape_zyx=source.grid.shape_zyx,
            voxel_size_angstrom=voxel_size_angstrom or _voxel_size(name, source, old),
            origin_xyz_angstrom=source.grid.origin_xyz_angstrom,
            nstart_xyz=source.grid.nstart_xyz,
            type=source.kind,
            byte_sign=byte_sign_of(source),
            mean=statistics.mean,
            sigma=statistics.sigma,
            file_state=measure_file_state(path, old.byte_sign),
        )
    if new.shape_zyx != old.shape_zyx:
        _require_tiles_inside(project, name, old, new)
    changes = tuple(_changes(project, name, old, new))
    consequences = (*_other_sign(path, new), *_consequences(project, name)) if changes else ()
    return RefreshPlan(name, new, changes, consequences)


def refresh_tomogram(project: Project, plan: RefreshPlan) -> None:
    """Write the new record of a tomogram."""
    require_no_running_jobs(project.layout)
    write_record(project.layout.tomogram_record(plan.name), plan.record)


def _voxel_size(name: str, source: VolumeReader, old: TomogramRecord) -> float:
    """Return the header's voxel size if the old one was from the header, or the old one if the header is the same."""
    size, old_size = source.grid.voxel_size_angstrom, old.voxel_size_angstrom
    header_size = old.file_state.voxel_size_angstrom if old.file_state is not None else old_size
    if size == header_size or old.file_state is None:
        return old_size
    if header_size == old_size and is_plausible_voxel_size(size):
        return size
    raise UnknownVoxelSizeError(
        f"{source.path.name} has voxel size {size:g} Å in its header, which was {header_size:g}; {name} is recorded "
        f"with {old_size:g}.",
        f"Give the right one: tomoseg tomograms refresh {name} --voxel-size {old_size:g}",
    )


def _require_tiles_inside(project: Project, name: str, old: TomogramRecord, new: TomogramRecord) -> None:
    """Raise ShapeError if tiles of the old shape are outside the new one."""
    locations = [tile.location for tile in catalog.tiles_on(project.layout, name)]
    outside = [
        location.id
        for location in locations
        if not location.is_centred_in(new.shape_zyx)
        or (location.exceeds(new.shape_zyx) and not location.exceeds(old.shape_zyx))
    ]
    if outside:
        more = f" and {len(outside) - 3} more" if len(outside) > 3 else ""
        raise ShapeError(
            f"The file of {name} has shape {new.shape_zyx} (z, y, x), it was {old.shape_zyx}: {len(outside)} of its "
            f"tiles are outside: {', '.join(outside[:3])}{more}.",
            f"Import it under another name, or remove these tiles first: tomoseg tiles remove {outside[0]}",
        )


def _changes(project: Project, name: str, old: TomogramRecord, new: TomogramRecord) -> Iterator[str]:
    if new.file != old.file:
        yield f"The link points to {new.file}."
    elif change := find_tomogram_change(project.layout, name, old)[1]:
        yield change
    pairs = {
        "shape": (old.shape_zyx, new.shape_zyx),
        "voxel size": (f"{old.voxel_size_angstrom:g} Å", f"{new.voxel_size_angstrom:g} Å"),
        "mean": (f"{old.mean:.4g}", f"{new.mean:.4g}"),
        "sigma": (f"{old.sigma:.4g}", f"{new.sigma:.4g}"),
    }
    differing = [f"{title} {after} (it was {before})" for title, (before, after) in pairs.items() if before != after]
    if differing:
        yield f"Measured again: {', '.join(differing)}."


def _other_sign(path: Path, record: TomogramRecord) -> Iterator[str]:
    """Yield a sentence if the bytes of a changed file look as if their sign were another now."""
    if record.byte_sign is not None:
        with open_volume(path) as volume:
            found = byte_sign_of(volume)
        if found != record.byte_sign:
            yield (
                f"Its bytes are read as {record.byte_sign}, as before, but look {found} now. If they are, import it "
                f"again under another name: --bytes {found}."
            )


def _consequences(project: Project, name: str) -> Iterator[str]:
    """Yield what was made of a tomogram as it was, and what to do about it."""
    layout = project.layout
    tiles = len(catalog.tiles_of(layout, name))
    if tiles:
        yield f"{tiles} tiles are on it: check that their annotations still fit."
    results = [path.stem for path, _ in (*catalog.maps_of(layout, name), *catalog.labels_of(layout, name))]
    if results:
        yield f"Maps and label volumes of the old file ({', '.join(results)}): apply and merge again."
    versions = [other for other in catalog.tomogram_names(layout) if _is_made_from(project, other, name)]
    if versions:
        yield f"Versions of the old file ({', '.join(versions)}): preprocess again."
    runs = [run for run in catalog.network_names(layout) if name in catalog.load_network_card(layout, run).tomograms]
    if runs:
        yield f"Networks trained on the old file ({', '.join(runs)}): train again if its scale is another."


def _is_made_from(project: Project, other: str, name: str) -> bool:
    return other != name and catalog.load_tomogram(project.layout, other).made_from == name
