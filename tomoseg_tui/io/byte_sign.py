"""Decide whether the bytes of an MRC file are signed, by header and data; say so where they do not agree.

Bytes read with the wrong sign have a step from 127 to -128 in the middle of their densities. It is found in the counts
of a sample: around the true ends of the range, 0 and 255 or -128 and 127, there are few voxels.
"""

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tomoseg_tui.io.mrc_header import MrcHeader

MIN_SAMPLE = 1024
"""Fewer voxels tell nothing about the sign."""
_FEW_VALUES = 16
"""Volumes with fewer values are masks or labels, which have a 0."""
_EDGE_RATIO = 4
"""Ratio of densities around the two possible ends that decides."""
_MIN_GAP = 8
"""Least number of neighbouring values without voxels that counts as a gap."""

_SIGNED_VALUES = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.int64)
_UNSIGNED_VALUES = np.arange(256, dtype=np.int64)


def settle_byte_sign(header: MrcHeader, counts: NDArray[np.int64], name: str) -> MrcHeader:
    """Return the header of a file of bytes with the sign that fits its data, and a warning where there is doubt.

    Parameters
    ----------
    header : MrcHeader
        Of a file in mode 0, with the sign that the header alone suggests.
    counts : ndarray of int, shape (256,)
        Voxels of each byte in a sample, by its unsigned value.
    name : str
        Name of the file, for warnings.
    """
    stated = "signed" if header.dtype.kind == "i" else "unsigned"
    fits = [sign for sign in ("signed", "unsigned") if _fits(header.statistics, counts, sign)]
    found = _sign_of(counts)
    if not header.is_stamped and fits == [stated] and found in {None, stated}:
        return header
    if counts.sum() < MIN_SAMPLE or found is None:
        if header.is_stamped or fits:
            return header
        other = "unsigned" if stated == "signed" else "signed"
        return _warned(
            header,
            f"{name} does not say whether its bytes are signed; they are read as {stated} (--bytes {other} if not).",
        )
    if found == "either" or (found == stated and header.is_stamped):
        return header
    if header.is_stamped or fits == [stated]:
        origin = "IMOD's flag" if header.is_stamped else "the header"
        return _warned(
            header,
            f"{name}: {origin} says that its bytes are {stated}, but they look {found}; they are read as {stated} "
            f"(--bytes {found} if not).",
        )
    low, high, mean = header.statistics
    sign: Literal["signed", "unsigned"] = "signed" if found == "signed" else "unsigned"
    other = "signed" if sign == "unsigned" else "unsigned"
    dtype = np.dtype("i1" if sign == "signed" else "u1")
    settled = replace(header, dtype=dtype, kind=f"MRC mode 0, {sign} bytes")
    return _warned(
        settled,
        f"{name}: the statistics in its header ({low:g}, {high:g}, {mean:g}) do not fit its bytes, which look {sign} "
        f"and are read so (--bytes {other} if not).",
    )


def _warned(header: MrcHeader, warning: str) -> MrcHeader:
    return replace(header, warnings=(*header.warnings, warning))


def _fits(statistics: tuple[float, float, float], counts: NDArray[np.int64], sign: str) -> bool:
    """Return whether minimum, maximum and mean of a header can be those of the bytes."""
    low, high, mean = statistics
    values = _SIGNED_VALUES if sign == "signed" else _UNSIGNED_VALUES
    present = values[counts > 0]
    is_computed = low < high or present.size == 1
    if not (is_computed and values.min() <= low <= mean <= high <= values.max()):
        return False
    sample_mean = float((values * counts).sum() / counts.sum())
    # The other sign shifts the mean by 256 times the share of bytes above 127.
    tolerance = max(2.0, 64 * float(counts[128:].sum() / counts.sum()))
    return (
        low - 0.5 <= present.min() and present.max() <= high + 0.5 and abs(mean - sample_mean) <= max(tolerance, 16.0)
    )


def _sign_of(counts: NDArray[np.int64]) -> str | None:
    """Return "signed" or "unsigned" as the counts show, "either" if both are the same, None if they do not tell."""
    if not counts[128:].any():
        return "either"
    distinct = int(np.count_nonzero(counts))
    if distinct <= _FEW_VALUES and counts[0]:
        return "unsigned"
    if distinct <= _FEW_VALUES and counts[128] and not counts[:128].any():
        return "signed"  # -128 is IMOD's signed 0
    gap = _largest_gap(counts)
    seams = {seam for seam, pair in (("unsigned", (255, 0)), ("signed", (127, 128))) if set(pair) <= gap}
    if len(gap) >= _MIN_GAP and seams:
        return seams.pop() if len(seams) == 1 else "unsigned"
    return _sign_by_ends(counts)


def _largest_gap(counts: NDArray[np.int64]) -> set[int]:
    """Return the longest run of bytes with hardly any voxel; 255 and 0 are neighbours."""
    is_empty = counts <= 1e-5 * counts.sum()
    best: list[int] = []
    run: list[int] = []
    for value in [*range(256), *range(256)]:
        run = [*run, value] if is_empty[value] else []
        best = run if len(run) > len(best) else best
    return set(best)


def _sign_by_ends(counts: NDArray[np.int64]) -> str | None:
    """Return the sign by the densities around the two possible ends of the range; None if they do not tell."""
    around_0 = float(counts[[1, 2, 3, 4, 251, 252, 253, 254]].mean())  # 0 and 255 may be clipped values
    around_128 = float(counts[[123, 124, 125, 126, 129, 130, 131, 132]].mean())
    is_unsigned, is_signed = around_0 * _EDGE_RATIO < around_128, around_128 * _EDGE_RATIO < around_0
    if is_unsigned == is_signed:  # clipped values pile up at the ends
        is_unsigned = counts[[0, 255]].mean() > _EDGE_RATIO * around_0
        is_signed = counts[[127, 128]].mean() > _EDGE_RATIO * around_128
    if is_unsigned == is_signed:
        return None
    return "unsigned" if is_unsigned else "signed"
