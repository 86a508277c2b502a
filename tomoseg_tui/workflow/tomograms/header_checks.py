"""Doubts about a volume: its voxel size, the order of its axes, its number type, and whether it is a tomogram."""

from math import isfinite
from pathlib import Path

import numpy as np

from tomoseg_tui.core.statistics import Statistics, sample_bands
from tomoseg_tui.errors import UnknownVoxelSizeError
from tomoseg_tui.io.volume_reader import VolumeReader

_POSSIBLE_ANGSTROM = (0.3, 500.0)
"""Voxel sizes outside these are those of no tomogram."""
_USUAL_ANGSTROM = (0.5, 100.0)
"""Voxel sizes outside these are rare."""
_ANGSTROM_PER_UNIT = {"nm": 10.0, "pm": 0.01, "µm": 1e4, "mm": 1e7, "m": 1e10}
_FLAT_RATIO = 1.5
"""A tomogram is thinnest along z; an axis that is thinner by this factor may be z."""
_WRAPPED_RANGE = 65000
"""Least difference of minimum and maximum of wrapped 16-bit integers."""
_WRAP_SAMPLE_VOXELS = 2**20
_END_SHARE, _EMPTY_SHARE, _WRAP_GAP = 1e-3, 1e-5, 8
"""Shares of the voxels in 64ths of the range: in the first and last at least, in one that counts as empty at most; and
the least number of empty ones side by side. No real volume scaled to the full range, clipped or not, comes near."""


def is_plausible_voxel_size(voxel_size_angstrom: float) -> bool:
    """Return whether a voxel size from a header, Å/voxel, is a real value; programs leave 0 or 1 by default."""
    low, high = _POSSIBLE_ANGSTROM
    return isfinite(voxel_size_angstrom) and low <= voxel_size_angstrom <= high and abs(voxel_size_angstrom - 1) >= 1e-6


def unknown_voxel_size_error(file: Path, source: VolumeReader) -> UnknownVoxelSizeError:
    """Return the error for a header without a real voxel size, with what its numbers could mean."""
    stated = source.grid.voxel_size_angstrom
    readings = _other_readings(source) if abs(stated - 1) >= 1e-6 or source.other_voxel_sizes else []
    example = f"{readings[0][0]:.4g}" if readings else "13.48"
    meanings = "".join(f" {text} gives {size:.4g} Å." for size, text in readings[:3])
    doubted = f"{stated:g}" if stated > 0 else "1"
    return UnknownVoxelSizeError(
        f"{file.name} has voxel size {stated:g} Å in its header, which is not a real value.{meanings}",
        f"Give it: tomoseg import {file.name} --voxel-size {example} (or --voxel-size {doubted} if it really is "
        f"{doubted}).",
    )


def _other_readings(source: VolumeReader) -> list[tuple[float, str]]:
    """Return usual voxel sizes that the numbers of a header could mean."""
    stated = source.grid.voxel_size_angstrom
    low, high = _USUAL_ANGSTROM
    in_units = [(stated * factor, f"{stated:g} {unit}") for unit, factor in _ANGSTROM_PER_UNIT.items()]
    usual = [(size, text) for size, text in (*source.other_voxel_sizes, *in_units) if low <= size <= high]
    return [(size, text) for size, text in usual if is_plausible_voxel_size(size)]


def voxel_size_remarks(file: Path, source: VolumeReader) -> list[str]:
    """Return a remark with both readings where a possible voxel size of a header is in doubt."""
    stated = source.grid.voxel_size_angstrom
    low, high = _USUAL_ANGSTROM
    if low <= stated <= high and not source.other_voxel_sizes:
        return []
    readings = "".join(f"; {text} gives {size:.4g} Å" for size, text in _other_readings(source)[:3])
    if not readings:
        readings = "".join(f"; {text} gives {size:.4g} Å" for size, text in source.other_voxel_sizes[:1])
    reason = "" if low <= stated <= high else f", which is very {'small' if stated < low else 'large'}"
    return [f"{file.name}: {stated:g} Å/voxel of its header is used{reason}{readings} (--voxel-size sets another)."]


def volume_remarks(file: Path, source: VolumeReader) -> list[str]:
    """Return remarks where the shape suggests other axes, or the file looks like a tilt series."""
    depth, height, width = source.grid.shape_zyx
    remarks = []
    if height * _FLAT_RATIO <= min(depth, width):
        remarks.append(
            f"{file.name} is read as {depth} slices of {height} x {width} (y, x). A tomogram is usually thinnest along "
            "z: if y and z are exchanged, turn it first, with IMOD: clip rotx FILE NEWFILE"
        )
    elif width * _FLAT_RATIO <= min(depth, height):
        remarks.append(
            f"{file.name} is read as {depth} slices of {height} x {width} (y, x). A tomogram is usually thinnest along "
            "z: if x and z are exchanged, turn it first."
        )
    reason = _tilt_series_reason(file, source)
    if reason:
        remarks.append(
            f"{file.name} may be a tilt series: {reason}. It is read as a tomogram of {depth} slices; if they are tilt "
            "images, import the tomogram that was reconstructed from them."
        )
    return remarks


def wrap_remarks(file: Path, source: VolumeReader, statistics: Statistics) -> list[str]:
    """Return a remark where 16-bit integers are at both ends of their range, but not in between."""
    if source.dtype != np.int16 or statistics.maximum - statistics.minimum < _WRAPPED_RANGE:
        return []
    counts = np.zeros(64, np.int64)
    for corner, shape in sample_bands(source.grid.shape_zyx, budget=_WRAP_SAMPLE_VOXELS):
        values = source.read_region(corner, shape).astype(np.int32) + 32768
        inner = values[(values > 0) & (values < 65535)]  # values that were clipped are at the very ends
        counts += np.bincount(inner >> 10, minlength=64)
    shares = counts / max(counts.sum(), 1)
    gaps = "".join("." if share <= _EMPTY_SHARE else "#" for share in shares)
    if min(shares[0], shares[-1]) < _END_SHARE or "." * _WRAP_GAP not in gaps:
        return []
    where = "at both ends of the range of 16-bit integers, but not in between"
    cause = "they are unsigned, or a conversion has wrapped them. Export it again as 32-bit floats."
    return [f"{file.name}: its densities are {where}: {cause}"]


def _tilt_series_reason(file: Path, source: VolumeReader) -> str:
    suffixes = {suffix.lower() for suffix in file.suffixes[-2:]}
    if suffixes & {".st", ".ali"}:
        return f"its name ends in {'.st' if '.st' in suffixes else '.ali'}"
    if file.with_name(f"{file.name}.mdoc").exists():
        return f"{file.name}.mdoc lies beside it"
    return source.tilt_series_hint
