"""Read EMAN2's ``info/NAME_info.json``: boxes and their sets; and ``.eman2log.txt``.

Coordinates have two conventions. With ``apix_unbin`` in the file, boxes are in unbinned pixels from the centre of the
volume: ``x = (voxel - n // 2) * apix / apix_unbin``, and sizes are in unbinned pixels too. Without it both are
voxels from the corner, of the tomogram that was open at the time.
"""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from tomoseg_tui.errors import ProjectError, TomogramError
from tomoseg_tui.io.raw_volume import translate_os_errors

LOG_NAME = ".eman2log.txt"
"""Name of the log in the project's folder."""

MAX_LOG_BYTES = 16 << 20
"""Of a longer log only the end is read."""
MAX_COMMAND_LENGTH = 1 << 16
"""A longer command is split at spaces, which is faster."""

DEFAULT_BOX_SIZE = 64
"""Edge of boxes if the file has none, as in EMAN2's boxing of tiles."""
_INFO_FIX = "Give the file info/NAME_info.json as EMAN2 wrote it."


@dataclass(frozen=True)
class BoxSet:
    """A set of boxes; EMAN2 also calls it a class or a label."""

    name: str
    """Name typed by the user in EMAN2."""
    stored_size: float = DEFAULT_BOX_SIZE
    """Edge of its boxes: unbinned pixels with `apix_unbin` in the file, else voxels."""


@dataclass(frozen=True)
class InfoBox:
    """One box as stored in the file."""

    number: int
    """Index in the list, from 0, for messages."""
    stored_xyz: tuple[float, float, float]
    """Centre in x, y, z, in the file's convention."""
    method: str
    """How it was placed: manual, tomoseg ..."""
    set_id: int
    """Number of its set."""


@dataclass(frozen=True)
class TomogramInfo:
    """EMAN2's information on one tomogram, shared by all its versions."""

    file_name: str
    """Name of the file, for messages."""
    unbinned_angstrom: float | None
    """Å per pixel of the unbinned tilt series; None if coordinates are voxels from the corner."""
    boxes: tuple[InfoBox, ...]
    sets: Mapping[int, BoxSet]
    """By number; every box's set is present."""
    curve_points: int = 0
    """Number of points of curves, which are not read."""

    def voxel_xyz(
        self, box: InfoBox, shape_zyx: tuple[int, int, int], voxel_size_angstrom: float
    ) -> tuple[int, int, int]:
        """Return the voxel of a box in one version of the tomogram.

        Parameters
        ----------
        box : InfoBox
            One of `boxes`.
        shape_zyx : tuple of int
            Shape of the version.
        voxel_size_angstrom : float
            Å/voxel from the version's header; 0 counts as 1, as in EMAN2.

        Returns
        -------
        tuple of int
            Centre in x, y, z from the corner, rounded; may lie outside the volume.
        """
        if self.unbinned_angstrom is None:
            x, y, z = (round(coordinate) for coordinate in box.stored_xyz)
            return x, y, z
        scale = self.unbinned_angstrom / (voxel_size_angstrom or 1.0)
        x, y, z = (
            round(coordinate * scale) + length // 2
            for coordinate, length in zip(box.stored_xyz, reversed(shape_zyx), strict=True)
        )
        return x, y, z

    def box_size(self, set_id: int, voxel_size_angstrom: float) -> int:
        """Return the edge of the boxes of a set, in voxels of a version with this voxel size; at least 1."""
        size = self.sets[set_id].stored_size
        if self.unbinned_angstrom is not None:
            size *= self.unbinned_angstrom / (voxel_size_angstrom or 1.0)
        return max(round(size), 1)


def read_info(path: Path) -> TomogramInfo:
    """Read an info file, which may have no boxes.

    Raises
    ------
    ProjectError
        If the file cannot be read, or contains something that EMAN2 would not write; the message says where.
    """
    info = _read_json(path)
    unbinned = info.get("apix_unbin")
    if unbinned is not None and not (_is_number(unbinned) and unbinned > 0):
        raise _invalid_info(path, f"apix_unbin is {unbinned!r}, expected a number above 0")
    sets = _read_sets(path, info.get("class_list", {}))
    boxes = tuple(_read_box(path, number, row) for number, row in enumerate(_read_list(path, info, "boxes_3d")))
    for box in boxes:  # EMAN2's names of unnamed sets
        sets.setdefault(box.set_id, BoxSet(f"particles_{box.set_id:02d}"))
    curves = len(_read_list(path, info, "curves"))
    return TomogramInfo(path.name, None if unbinned is None else float(unbinned), boxes, sets, curves)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        with translate_os_errors(path):
            text = path.read_text("utf-8")
        info = json.loads(text)
    except TomogramError as fault:
        raise ProjectError(fault.fault, fault.fix) from fault
    except (ValueError, RecursionError) as fault:  # not UTF-8, or not JSON
        raise ProjectError(f"{path.name} is damaged, or not a JSON file: {fault}.", _INFO_FIX) from fault
    if not isinstance(info, dict):
        raise _invalid_info(path, "it is not a JSON object")
    return info


def _invalid_info(path: Path, problem: str) -> ProjectError:
    return ProjectError(f"{path.name}: {problem}.", _INFO_FIX)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9


def _read_list(path: Path, info: Mapping[str, Any], key: str) -> list[Any]:
    value = info.get(key, [])
    if not isinstance(value, list):
        raise _invalid_info(path, f"{key} is {_shorten(value)}, expected a list")
    return value


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _read_sets(path: Path, class_list: object) -> dict[int, BoxSet]:
    """Read ``{"0": {"name": ..., "boxsize": ...}}``, or the older ``{"0": "name"}``."""
    if not isinstance(class_list, dict):
        raise _invalid_info(path, f"class_list is {_shorten(class_list)}, expected sets by number")
    return {_read_set_id(path, key, "class_list"): _read_set(path, key, value) for key, value in class_list.items()}


def _read_set_id(path: Path, value: object, location: str) -> int:
    try:
        return int(value)  # type: ignore[call-overload, no-any-return]  # refused below
    except (TypeError, ValueError, OverflowError) as fault:
        raise _invalid_info(path, f"{location}: {_shorten(value)} is not the number of a set") from fault


def _read_set(path: Path, key: str, value: object) -> BoxSet:
    if isinstance(value, str):
        return BoxSet(value)
    name = value.get("name") if isinstance(value, dict) else None
    size = value.get("boxsize", DEFAULT_BOX_SIZE) if isinstance(value, dict) else None
    if not isinstance(name, str) or not _is_number(size) or not size > 0:
        raise _invalid_info(path, f"class_list, set {key}: expected name and boxsize, received {_shorten(value)}")
    return BoxSet(name, float(size))


def _read_box(path: Path, number: int, row: object) -> InfoBox:
    """Read ``[x, y, z, method, score, set, ...]``; the first three are required."""
    if not isinstance(row, list) or len(row) < 3 or not all(_is_number(value) for value in row[:3]):
        raise _invalid_info(
            path, f"boxes_3d, box {number}: expected [x, y, z, method, score, set], received {_shorten(row)}"
        )
    x, y, z = (float(value) for value in row[:3])
    method = str(row[3]) if len(row) > 3 else "manual"
    return InfoBox(
        number, (x, y, z), method, _read_set_id(path, row[5], f"boxes_3d, box {number}") if len(row) > 5 else 0
    )


def read_commands(path: Path) -> list[list[str]]:
    """Return the arguments of each command, starting with the program's name without its folder.

    Parameters
    ----------
    path : Path
        A log with one command per line in its last tab-separated field; empty fields are skipped. A missing file has
        no commands.

    Raises
    ------
    TomogramError
        If the system cannot read the file.
    """
    if not path.is_file():
        return []
    with translate_os_errors(path), path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - MAX_LOG_BYTES))
        lines = stream.read().decode("utf-8", errors="replace").splitlines()
    commands = (_split_command(line.rpartition("\t")[2]) for line in lines)
    return [[Path(argv[0]).name, *argv[1:]] for argv in commands if argv]


def _split_command(text: str) -> list[str]:
    """Split a command line; EMAN2 joins arguments with spaces and quotes none, so unbalanced quotes are characters."""
    try:
        return shlex.split(text) if len(text) < MAX_COMMAND_LENGTH else text.split()
    except ValueError:
        return text.split()
