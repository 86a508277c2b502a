"""Read and make the 1024 bytes that head an MRC file. Knows no densities.

The layout is MRC2014 [1]_ with IMOD's stamp and flags [2]_. Files in the wild break it in many ways:
machine stamps are missing or wrong, bytes are unsigned, axes are numbered 0, cells are empty. What
can be understood in one way only is read; the rest is refused with what to do.

References
----------
.. [1] Cheng et al. (2015), J. Struct. Biol. 192(2), 146-150. doi:10.1016/j.jsb.2015.04.002
.. [2] https://bio3d.colorado.edu/imod/doc/mrc_format.txt
"""

from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Literal

import numpy as np
from mrcfile.dtypes import HEADER_DTYPE

from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.errors import TomogramError, UnreadableTomogramError
from tomoseg_tui.io.volume_reader import cubic_voxel_size

ByteSign = Literal["signed", "unsigned"]

HEADER_BYTES = 1024
LARGEST_DIMENSION = 1 << 20
"""No detector or reconstruction has a million voxels along one axis; more is a damaged header."""
IMOD_STAMP = 1146047817
"""The word at byte 152 that says the flags at byte 156 are IMOD's."""
SIGNED_FLAG, PACKED_FLAG = 1, 16
"""IMOD's flags for signed bytes, and for two pixels of 4 bits in one byte."""
_STAMP_SLICE = slice(40, 48)
"""Where IMOD's stamp and flags stand in the field `extra2`, which begins at byte 112."""

DTYPES: dict[int, str] = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
"""Modes that are read and written, and their types."""
MODE_NAMES = {
    1: "16-bit integers",
    2: "32-bit floats",
    6: "unsigned 16-bit integers",
    12: "16-bit floats",
}
REFUSED_MODES = {
    3: ("complex 16-bit integers, a Fourier transform", "Give the volume before the Fourier transform."),
    4: ("complex 32-bit floats, a Fourier transform", "Give the volume before the Fourier transform."),
    16: ("red, green and blue", "Give the densities, not a coloured picture of them."),
    101: ("4-bit integers", "Unpack it first with IMOD: newstack -mode 1 FILE NEWFILE"),
}


@dataclass(frozen=True)
class MrcHeader:
    """What an MRC header says, checked."""

    grid: VoxelGrid
    """Shape, voxel size (0 where the header says none), origin and nstart."""
    mode: int
    """One of `DTYPES`."""
    dtype: np.dtype[Any]
    """As stored: with byte order, and with the sign that was decided for bytes."""
    offset: int
    """Where densities begin, bytes."""
    kind: str
    """The mode in words."""
    warnings: tuple[str, ...]
    """What is odd about the header."""

    @property
    def expected_bytes(self) -> int:
        """Length that the file must have at least."""
        depth, height, width = self.grid.shape_zyx
        return self.offset + depth * height * width * self.dtype.itemsize


def is_header(raw: bytes) -> bool:
    """Tell whether bytes can be the head of an MRC file, of whatever byte order."""
    if len(raw) < HEADER_BYTES:
        return False
    header = _decode_fields(raw)
    return _size_is_plausible(header) and _mode_is_valid(header) and _axes_are_plausible(header)


def parse_header(raw: bytes, path: Path, *, byte_sign: ByteSign | None = None) -> MrcHeader:
    """Understand the first 1024 bytes of a file.

    Parameters
    ----------
    raw : bytes
        The first 1024 bytes, or fewer if the file is shorter.
    path : Path
        For faults and warnings only.
    byte_sign : {"signed", "unsigned"}, optional
        How to take mode 0. Not given: IMOD's flag if its stamp is there, else unsigned if the
        header's minimum is at least 0 and its maximum above 127, else signed.

    Returns
    -------
    MrcHeader
        Checked in itself; the length of the file is for the caller to compare.

    Raises
    ------
    UnreadableTomogramError
        If the bytes are no MRC header, or describe something that is not one real-valued volume
        in the order x, y, z.
    """
    if len(raw) < HEADER_BYTES:
        raise UnreadableTomogramError(
            f"{path.name} ends early: an MRC header has {HEADER_BYTES} bytes, the file has {len(raw)}.",
            "Copy it again from where it came from, or make it again.",
        )
    header = _decode_fields(raw)
    _check_size(header, path)
    _check_mode(header, path)
    _check_axes(header, path)
    _check_single(header, path)
    return _decode_header(header, path, byte_sign)


def make_header(grid: VoxelGrid, dtype: np.dtype[Any], *, title: str = "") -> bytes:
    """Make a little-endian MRC2014 header whose statistics say "not determined".

    Parameters
    ----------
    grid : Grid
        Origin and nstart are both written, since programs differ in which they read.
    dtype : numpy dtype
        int8, int16, uint16, float16 or float32.
    title : str
        First label; cut at 80 characters, others than ASCII become "?".

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
    header["nlabl"], header["label"][0] = bool(title), title.encode("ascii", "replace")[:80]
    if header["mode"] == 0:
        header["extra2"] = _extra_with_stamp()
    return header.tobytes()


def _extra_with_stamp() -> bytes:
    """Return the field extra2 with IMOD's stamp, which alone says for sure that bytes are signed."""
    stamp = np.array([IMOD_STAMP, SIGNED_FLAG], "<i4").tobytes()
    return bytes(_STAMP_SLICE.start) + stamp + bytes(84 - _STAMP_SLICE.stop)


def _mode_of(dtype: np.dtype[Any]) -> int:
    """Find the mode that stores a type."""
    for mode, code in DTYPES.items():
        if np.dtype(code) == dtype.newbyteorder("="):
            return mode
    raise TomogramError(
        f"MRC files hold int8, int16, uint16, float16 or float32, not {dtype}.", "Convert the values to one of them."
    )


def _decode_fields(raw: bytes) -> Any:
    """Read the words in the byte order in which they make more sense.

    The machine stamp comes late among the reasons: many programs write none or a wrong one.
    """
    little, big = (np.frombuffer(raw[:HEADER_BYTES], HEADER_DTYPE.newbyteorder(order))[0] for order in "<>")
    return max((little, big), key=lambda header: _plausibility(header, is_big=header is big))


def _plausibility(header: Any, *, is_big: bool) -> tuple[bool, ...]:
    """Rank a reading of the header, strongest reason first."""
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
    """Tell whether axes are a permutation of 1, 2, 3; some programs leave them 0, one writes -2."""
    return sorted(map(abs, _axes(header))) in ([1, 2, 3], [0, 0, 0])


def _check_size(header: Any, path: Path) -> None:
    if not _size_is_plausible(header):
        size = tuple(int(header[axis]) for axis in ("nx", "ny", "nz"))
        raise UnreadableTomogramError(
            f"{path.name} is not an MRC file, or its header is damaged: it gives the size {size} (x, y, z), "
            f"expected numbers from 1 to {LARGEST_DIMENSION}.",
            "Give a tomogram in the format MRC, EMAN2 HDF5 or TIFF.",
        )


def _check_mode(header: Any, path: Path) -> None:
    mode = int(header["mode"])
    if mode in REFUSED_MODES:
        description, fix = REFUSED_MODES[mode]
        raise UnreadableTomogramError(
            f"{path.name} has MRC mode {mode} ({description}), which is no volume of numbers.", fix
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
    if axes not in {(1, 2, 3), (0, 0, 0)}:
        raise UnreadableTomogramError(
            f"{path.name} stores its axes in the order {axes} (mapc, mapr, maps), expected (1, 2, 3).",
            "Write it with the axes in order, for example with CCP4's mapmask and the keyword AXIS X Y Z.",
        )


def _check_single(header: Any, path: Path) -> None:
    """Refuse stacks of volumes, and headers whose extended part has no possible length."""
    if 401 <= int(header["ispg"]) <= 630:
        depth = max(int(header["mz"]), 1)
        raise UnreadableTomogramError(
            f"{path.name} is a stack of {int(header['nz']) // depth} volumes (space group {int(header['ispg'])}), "
            "expected one volume.",
            f"Cut one volume out of it first, with IMOD: trimvol -z 1,{depth} FILE NEWFILE",
        )
    if int(header["nsymbt"]) < 0:
        raise UnreadableTomogramError(
            f"{path.name} has a damaged header: its extended part is {int(header['nsymbt'])} bytes long.",
            "Copy it again from where it came from, or make it again.",
        )


def _decode_header(header: Any, path: Path, byte_sign: ByteSign | None) -> MrcHeader:
    """Turn checked words into values."""
    mode = int(header["mode"])
    voxel_size, warnings = cubic_voxel_size(_voxel_sizes_xyz(header), path.name)
    dtype, kind = np.dtype(DTYPES[mode]), f"MRC mode {mode}, {MODE_NAMES.get(mode, 'bytes')}"
    if mode == 0:
        sign, sign_warnings = _decide_sign(header, path, byte_sign)
        dtype, kind = np.dtype("i1" if sign == "signed" else "u1"), f"MRC mode 0, {sign} bytes"
        warnings += sign_warnings
    return MrcHeader(
        grid=VoxelGrid(
            shape_zyx=(int(header["nz"]), int(header["ny"]), int(header["nx"])),
            voxel_size_angstrom=voxel_size,
            origin_xyz_angstrom=_finite_triple(header["origin"]),
            nstart_xyz=(int(header["nxstart"]), int(header["nystart"]), int(header["nzstart"])),
        ),
        mode=mode,
        dtype=dtype.newbyteorder(header.dtype["nx"].byteorder),
        offset=HEADER_BYTES + int(header["nsymbt"]),
        kind=kind,
        warnings=warnings,
    )


def _voxel_sizes_xyz(header: Any) -> tuple[float, float, float]:
    """Divide the cell by its intervals, Å; 0 where the header gives nothing usable."""
    x, y, z = (
        float(header["cella"][axis]) / int(header[f"m{axis}"]) if int(header[f"m{axis}"]) > 0 else 0.0 for axis in "xyz"
    )
    return x, y, z


def _finite_triple(values: Any) -> tuple[float, float, float]:
    """Read x, y, z; what is not finite says nothing and counts as 0."""
    x, y, z = (float(values[axis]) if isfinite(values[axis]) else 0.0 for axis in "xyz")
    return x, y, z


def _imod_flags(header: Any) -> int | None:
    """Return IMOD's flags, or None in a file without its stamp."""
    order = header.dtype["nx"].byteorder
    stamp, flags = np.frombuffer(bytes(header["extra2"])[_STAMP_SLICE], np.dtype("i4").newbyteorder(order))
    return int(flags) if stamp == IMOD_STAMP else None


def _decide_sign(header: Any, path: Path, byte_sign: ByteSign | None) -> tuple[ByteSign, tuple[str, ...]]:
    """Decide how bytes are meant, and warn where the header gives nothing to decide by."""
    flags = _imod_flags(header)
    if byte_sign is not None:
        return byte_sign, ()
    if flags is not None:
        return ("signed" if flags & SIGNED_FLAG else "unsigned"), ()
    low, high = float(header["dmin"]), float(header["dmax"])
    if low >= 0 and high > 127:
        return "unsigned", ()
    if low <= high:
        return "signed", ()
    warning = (
        f"{path.name} does not say whether its bytes are signed; they are read as signed (--bytes unsigned if not)."
    )
    return "signed", (warning,)
