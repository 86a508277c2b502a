"""Parse and make the 1024-byte header of an MRC file. Leaves densities to `mrc`.

The layout is MRC2014 [1]_ with IMOD's stamp and flags [2]_. Real files deviate in many ways: machine stamps are
missing or wrong, bytes are unsigned, axes are numbered 0, cells are empty. A header with one possible meaning is
read; others are refused with advice.

References
----------
.. [1] Cheng et al. (2015), J. Struct. Biol. 192(2), 146-150. doi:10.1016/j.jsb.2015.04.002
.. [2] https://bio3d.colorado.edu/imod/doc/mrc_format.txt
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE

from tomoseg_tui.core.grid import ByteSign, VoxelGrid
from tomoseg_tui.errors import TomogramError, UnreadableTomogramError
from tomoseg_tui.io.volume_reader import cubic_voxel_size, round_to_float32

HEADER_BYTES = 1024
_MOST_LABELS, _LABEL_CHARACTERS = 10, 80
LARGEST_DIMENSION = 1 << 20
"""A header with a longer axis is damaged: no tomogram has a million voxels along one axis."""
IMOD_STAMP = 1146047817
"""The word at byte 152 that marks the flags at byte 156 as IMOD's."""
SIGNED_FLAG, PACKED_FLAG = 1, 16
"""IMOD's flags for signed bytes, and for two pixels of 4 bits in one byte."""
_STAMP_SLICE = slice(40, 48)
"""Position of IMOD's stamp and flags in the field `extra2`, which begins at byte 112."""

DTYPES: dict[int, str] = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
"""Supported modes and their types."""
MODE_NAMES = {
    1: "16-bit integers",
    2: "32-bit floats",
    6: "unsigned 16-bit integers",
    12: "16-bit floats",
}
REFUSED_MODES = {
    3: ("complex 16-bit integers, a Fourier transform", "Give the volume before the Fourier transform."),
    4: ("complex 32-bit floats, a Fourier transform", "Give the volume before the Fourier transform."),
    16: ("red, green and blue", "Give the densities, not a coloured image of them."),
    101: ("4-bit integers", "Unpack it first with IMOD: newstack -mode 1 FILE NEWFILE"),
}


@dataclass(frozen=True)
class MrcHeader:
    """The checked values of an MRC header."""

    grid: VoxelGrid
    """Shape, voxel size (0 if the header has none), origin and nstart."""
    mode: int
    """One of `DTYPES`."""
    dtype: np.dtype[Any]
    """Stored type with byte order; for bytes with the sign decided on."""
    offset: int
    """Start of the densities, bytes: after the extended header that is promised, whether it is there or not."""
    kind: str
    """The mode as text."""
    warnings: tuple[str, ...]
    """Oddities of the header."""
    statistics: tuple[float, float, float] = (0.0, -1.0, -2.0)
    """Minimum, maximum and mean as stated; they may be missing or wrong."""
    is_stamped: bool = False
    """True if IMOD's stamp states the sign of bytes."""
    other_voxel_sizes: tuple[tuple[float, str], ...] = ()
    """Other voxel sizes that the cell could mean, Å, each with the way to it."""
    axes: tuple[int, int, int] = (1, 2, 3)
    """Axes of columns, rows and sections: 1 is x, 2 is y, 3 is z."""
    tilt_series_hint: str = ""
    """Why the file may be a tilt series; empty if nothing says so."""

    @property
    def stored_axes_zyx(self) -> tuple[int, int, int]:
        """For sections, rows and columns the axis of the volume in the order z, y, x: 0 is z."""
        columns, rows, sections = self.axes
        return 3 - sections, 3 - rows, 3 - columns

    @property
    def expected_bytes(self) -> int:
        """Least length of the file."""
        depth, height, width = self.grid.shape_zyx
        return self.offset + depth * height * width * self.dtype.itemsize


def is_header(raw: bytes) -> bool:
    """Return whether bytes can be the header of an MRC file, in either byte order."""
    if len(raw) < HEADER_BYTES:
        return False
    header = _decode_fields(raw)
    return _size_is_plausible(header) and _mode_is_valid(header) and _axes_are_plausible(header)


def parse_header(raw: bytes, path: Path, *, byte_sign: ByteSign | None = None) -> MrcHeader:
    """Parse the first 1024 bytes of a file.

    Parameters
    ----------
    raw : bytes
        The first 1024 bytes, or fewer if the file is shorter.
    path : Path
        Name of the file for messages.
    byte_sign : {"signed", "unsigned"}, optional
        Sign of bytes in mode 0. Without it, IMOD's flag decides if its stamp is present; else bytes are unsigned
        if the header's minimum is at least 0 and its maximum above 127, else signed.

    Returns
    -------
    MrcHeader
        Consistent values; the caller compares the length of the file.

    Raises
    ------
    UnreadableTomogramError
        If the bytes are not an MRC header, or do not describe one real-valued volume in the order x, y, z.
    """
    if len(raw) < HEADER_BYTES:
        raise UnreadableTomogramError(
            f"{path.name} is truncated: an MRC header has {HEADER_BYTES} bytes, the file has {len(raw)}.",
            "Copy the file from its source again, or create it again.",
        )
    header = _decode_fields(raw)
    _check_size(header, path)
    _check_mode(header, path)
    _check_axes(header, path)
    _check_single(header, path)
    return _decode_header(header, path, byte_sign)


def make_header(grid: VoxelGrid, dtype: np.dtype[Any], *, lines: Sequence[str] = ()) -> bytes:
    """Make a little-endian MRC2014 header with statistics marked "not determined".

    Parameters
    ----------
    grid : VoxelGrid
        Grid of the volume. Origin and nstart are both written, because programs read either.
    dtype : numpy dtype
        int8, int16, uint16, float16 or float32.
    lines : sequence of str
        Text for the header; see `pack_text`.

    Raises
    ------
    TomogramError
        If MRC has no mode for the type.
    """
    header = np.zeros((), HEADER_DTYPE.newbyteorder("<"))
    depth, height, width = grid.shape_zyx
    header["nx"], header["ny"], header["nz"] = header["mx"], header["my"], header["mz"] = width, height, depth
    header["mode"] = _mode_of(dtype)
    header["nxstart"], header["nystart"], header["nzstart"] = grid.nstart_xyz
    header["cella"] = tuple(length * grid.voxel_size_angstrom for length in (width, height, depth))
    header["cellb"] = (90, 90, 90)
    header["mapc"], header["mapr"], header["maps"] = 1, 2, 3
    # MRC2014: a maximum below the minimum, a mean below both and a negative rms are "not determined".
    header["dmin"], header["dmax"], header["dmean"], header["rms"] = 0, -1, -2, -1
    header["ispg"], header["nversion"] = 1, 20141
    header["origin"] = grid.origin_xyz_angstrom
    header["map"], header["machst"] = b"MAP ", (0x44, 0x44, 0, 0)
    labels = pack_text(lines)
    header["nlabl"], header["label"][: len(labels)] = len(labels), labels
    if header["mode"] == 0:
        header["extra2"] = _extra_with_stamp()
    return header.tobytes()


def pack_text(lines: Sequence[str]) -> list[bytes]:
    """Return text as labels of an MRC header: at most 10 of 80 characters, the end cut; non-ASCII becomes "?"."""
    rows = [row for line in lines if line for row in textwrap.wrap(line, _LABEL_CHARACTERS)]
    if len(rows) > _MOST_LABELS:
        rows = [lines[0][:_LABEL_CHARACTERS], *textwrap.wrap("; ".join(lines[1:]), _LABEL_CHARACTERS)]
    if len(rows) > _MOST_LABELS:
        rows = [*rows[: _MOST_LABELS - 1], f"{rows[_MOST_LABELS - 1][: _LABEL_CHARACTERS - 4]} ..."]
    return [row.encode("ascii", "replace") for row in rows]


def holds_lines(lines: Sequence[str]) -> bool:
    """Return whether an MRC header has room for text."""
    return not any(label.endswith(b" ...") for label in pack_text(lines))


def _extra_with_stamp() -> bytes:
    """Return the field extra2 with IMOD's stamp, the only reliable mark of signed bytes."""
    stamp = np.array([IMOD_STAMP, SIGNED_FLAG], "<i4").tobytes()
    return bytes(_STAMP_SLICE.start) + stamp + bytes(84 - _STAMP_SLICE.stop)


def _mode_of(dtype: np.dtype[Any]) -> int:
    """Return the mode that stores a type."""
    for mode, code in DTYPES.items():
        if np.dtype(code) == dtype.newbyteorder("="):
            return mode
    raise TomogramError(
        f"MRC files store int8, int16, uint16, float16 or float32, not {dtype}.", "Convert the values to one of them."
    )


def _decode_fields(raw: bytes) -> Any:
    """Return the fields in the more plausible byte order.

    The machine stamp counts little: many programs write none or a wrong one.
    """
    little, big = (np.frombuffer(raw[:HEADER_BYTES], HEADER_DTYPE.newbyteorder(order))[0] for order in "<>")
    return max((little, big), key=lambda header: _plausibility(header, is_big=header is big))


def _plausibility(header: Any, *, is_big: bool) -> tuple[bool, ...]:
    """Return a sort key for a reading of the header, the strongest criterion first."""
    stamp = bytes(header["machst"])[:1]
    stamp_agrees = stamp == (b"\x11" if is_big else b"\x44")
    return (
        _size_is_plausible(header),
        _mode_is_valid(header),
        _axes_are_plausible(header),
        stamp_agrees,
        not is_big,
    )


def _size_is_plausible(header: Any) -> bool:
    return all(1 <= int(header[axis]) <= LARGEST_DIMENSION for axis in ("nx", "ny", "nz"))


def _mode_is_valid(header: Any) -> bool:
    return int(header["mode"]) in DTYPES or int(header["mode"]) in REFUSED_MODES


def _axes(header: Any) -> tuple[int, int, int]:
    return int(header["mapc"]), int(header["mapr"]), int(header["maps"])


def _axes_are_plausible(header: Any) -> bool:
    """Return whether axes are a permutation of 1, 2, 3; some programs leave them 0, one writes -2."""
    return sorted(map(abs, _axes(header))) in ([1, 2, 3], [0, 0, 0])


def _check_size(header: Any, path: Path) -> None:
    if not _size_is_plausible(header):
        size = tuple(int(header[axis]) for axis in ("nx", "ny", "nz"))
        raise UnreadableTomogramError(
            f"{path.name} is not an MRC file, or its header is damaged: its size is {size} (x, y, z), "
            f"expected 1 to {LARGEST_DIMENSION}.",
            "Give a tomogram in the format MRC, EMAN2 HDF5 or TIFF.",
        )


def _check_mode(header: Any, path: Path) -> None:
    mode = int(header["mode"])
    if mode in REFUSED_MODES:
        description, fix = REFUSED_MODES[mode]
        raise UnreadableTomogramError(
            f"{path.name} has MRC mode {mode} ({description}), which is not a volume of numbers.", fix
        )
    if mode not in DTYPES:
        raise UnreadableTomogramError(
            f"{path.name} has MRC mode {mode}, which does not exist; expected one of {sorted(DTYPES)}.",
            "Give a tomogram in the format MRC, EMAN2 HDF5 or TIFF.",
        )
    if mode == 0 and (_imod_flags(header) or 0) & PACKED_FLAG:
        _, fix = REFUSED_MODES[101]
        raise UnreadableTomogramError(f"{path.name} packs two pixels of 4 bits into each byte.", fix)


def _check_axes(header: Any, path: Path) -> None:
    axes = _axes(header)
    if sorted(axes) != [1, 2, 3] and axes != (0, 0, 0):
        raise UnreadableTomogramError(
            f"{path.name} numbers its axes {axes} (mapc, mapr, maps), expected 1, 2 and 3.",
            "If they are in the order x, y, z, correct the header in Python: import mrcfile; "
            "f = mrcfile.open('FILE', 'r+'); f.header.mapc, f.header.mapr, f.header.maps = 1, 2, 3; f.close()",
        )


def _check_single(header: Any, path: Path) -> None:
    """Reject stacks of volumes."""
    if 401 <= int(header["ispg"]) <= 630:
        depth = max(int(header["mz"]), 1)
        raise UnreadableTomogramError(
            f"{path.name} is a stack of {int(header['nz']) // depth} volumes (space group {int(header['ispg'])}), "
            "expected one volume.",
            f"Cut one volume out of it first, with IMOD: trimvol -z 1,{depth} FILE NEWFILE",
        )


def _decode_header(header: Any, path: Path, byte_sign: ByteSign | None) -> MrcHeader:
    """Return the values of checked fields."""
    mode = int(header["mode"])
    voxel_size, warnings = cubic_voxel_size(_voxel_sizes_xyz(header), path.name)
    dtype, kind = np.dtype(DTYPES[mode]), f"MRC mode {mode}, {MODE_NAMES.get(mode, 'bytes')}"
    if mode == 0:
        sign = byte_sign or _stated_sign(header)
        dtype, kind = np.dtype("i1" if sign == "signed" else "u1"), f"MRC mode 0, {sign} bytes"
    return MrcHeader(
        grid=VoxelGrid(
            shape_zyx=_in_order_zyx(header, ("nx", "ny", "nz")),
            voxel_size_angstrom=voxel_size,
            origin_xyz_angstrom=_finite_triple(header["origin"]),
            nstart_xyz=_in_order_zyx(header, ("nxstart", "nystart", "nzstart"))[::-1],
        ),
        axes=_axes(header) if any(_axes(header)) else (1, 2, 3),
        mode=mode,
        dtype=dtype.newbyteorder(header.dtype["nx"].byteorder),
        offset=HEADER_BYTES + int(header["nsymbt"]),
        kind=kind,
        warnings=warnings,
        statistics=(float(header["dmin"]), float(header["dmax"]), float(header["dmean"])),
        is_stamped=_imod_flags(header) is not None,
        other_voxel_sizes=_other_voxel_sizes(header),
        tilt_series_hint=_tilt_series_hint(header),
    )


def _in_order_zyx(header: Any, fields: tuple[str, str, str]) -> tuple[int, int, int]:
    """Return the values of columns, rows and sections in the order z, y, x."""
    axes = _axes(header) if any(_axes(header)) else (1, 2, 3)
    by_axis = {axis: int(header[field]) for axis, field in zip(axes, fields, strict=True)}
    return by_axis[3], by_axis[2], by_axis[1]


def header_in_order(raw: bytes) -> bytes:
    """Return a header for the same densities with columns along x, rows along y and sections along z."""
    header = _decode_fields(raw).copy()
    sizes = _in_order_zyx(header, ("nx", "ny", "nz"))[::-1]
    starts = _in_order_zyx(header, ("nxstart", "nystart", "nzstart"))[::-1]
    voxels = _voxel_sizes_xyz(header)
    if min(voxels) > 0:
        header["cella"] = tuple(voxel * size for voxel, size in zip(voxels, sizes, strict=True))
        header["mx"], header["my"], header["mz"] = sizes
    for axis, size, start in zip("xyz", sizes, starts, strict=True):
        header[f"n{axis}"], header[f"n{axis}start"] = size, start
    header["mapc"], header["mapr"], header["maps"], header["nsymbt"] = 1, 2, 3, 0
    return bytes(header.tobytes())


def has_exchanged_axes(raw: bytes) -> bool:
    """Return whether a header states the three axes, but in another order than x, y, z."""
    axes = _axes(_decode_fields(raw)) if is_header(raw) else (1, 2, 3)
    return sorted(axes) == [1, 2, 3] and axes != (1, 2, 3)


def _cube_of_stored_axes(header: Any) -> float:
    """Return the voxel size, Å, if the axes are exchanged and the cell is cubic for columns, rows, sections; else 0.

    The cell belongs to x, y, z, but some programs leave it in the order of the file.
    """
    sizes = [float(header["cella"][axis]) / int(header[f"n{axis}"]) for axis in "xyz"]
    is_cubic = isfinite(sum(sizes)) and min(sizes) > 0 and max(sizes) <= 1.01 * min(sizes)
    return sizes[0] if is_cubic and _axes(header) not in {(1, 2, 3), (0, 0, 0)} else 0.0


def _voxel_sizes_xyz(header: Any) -> tuple[float, float, float]:
    """Return the cell divided by its intervals, Å; 0 where the header has no usable value.

    Programs that write slices one by one leave 1 interval along z; then the cell is that of all slices, or unknown.
    """
    x, y, z = (
        float(header["cella"][axis]) / int(header[f"m{axis}"]) if int(header[f"m{axis}"]) > 0 else 0.0 for axis in "xyz"
    )
    as_stored = _cube_of_stored_axes(header)
    if as_stored and max(x, y, z) > 1.01 * min(x, y, z):
        return as_stored, as_stored, as_stored
    slices = _in_order_zyx(header, ("nx", "ny", "nz"))[0]
    if int(header["mz"]) == 1 < slices and abs(z - x) > 0.01 * x:
        z = z / slices if abs(z / slices - x) <= 0.01 * x else 0.0
    return x, y, z


def _other_voxel_sizes(header: Any) -> tuple[tuple[float, str], ...]:
    """Return what else the numbers of the cell could mean, Å along x; empty if they agree with the volume."""
    cell, intervals, columns = (
        float(header["cella"]["x"]),
        int(header["mx"]),
        _in_order_zyx(header, ("nx", "ny", "nz"))[2],
    )
    if not (isfinite(cell) and cell > 0):
        return ()
    stated = cell / intervals if intervals > 0 else 0.0
    others = []
    if intervals != columns and (intervals <= 1 or stated < 1):
        others.append((round_to_float32(cell / columns), f"the cell of {cell:g} Å over {columns} voxels"))
    if intervals > 1 and stated < 1:
        others.append((round_to_float32(cell), "the cell as the edge of one voxel"))
    return tuple(others)


def _tilt_series_hint(header: Any) -> str:
    """Return why a file may be a tilt series; titles of its source remain in a reconstruction, so these are no sign."""
    titles = b" ".join(header["label"].tolist()).decode("ascii", "replace").lower()
    if any(word in titles for word in ("reconstruct", "trimvol", "rotatevol", "clip:", "tomoseg")):
        return ""
    if "tilt axis angle" in titles or "serialem" in titles:
        return "its titles are those of SerialEM"
    kind = bytes(header["exttyp"])
    if kind in {b"SERI", b"FEI1", b"FEI2"} and int(header["nsymbt"]) > 0:
        return f"its extended header describes images ({kind.decode()})"
    return ""


def _finite_triple(values: Any) -> tuple[float, float, float]:
    """Return x, y, z, with 0 for values that are not finite."""
    x, y, z = (float(values[axis]) if isfinite(values[axis]) else 0.0 for axis in "xyz")
    return x, y, z


def _imod_flags(header: Any) -> int | None:
    """Return IMOD's flags; None without its stamp."""
    order = header.dtype["nx"].byteorder
    stamp, flags = np.frombuffer(bytes(header["extra2"])[_STAMP_SLICE], np.dtype("i4").newbyteorder(order))
    return int(flags) if stamp == IMOD_STAMP else None


def _stated_sign(header: Any) -> ByteSign:
    """Return the sign of bytes that the header suggests; signed without any indication."""
    flags = _imod_flags(header)
    if flags is not None:
        return "signed" if flags & SIGNED_FLAG else "unsigned"
    return "unsigned" if float(header["dmin"]) >= 0 and float(header["dmax"]) > 127 else "signed"
