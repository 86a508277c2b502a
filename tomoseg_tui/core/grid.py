"""Position of a volume's voxels, scale of its densities, and the numbers of maps. Leaves files to `io`."""

from dataclasses import dataclass
from typing import Literal

ByteSign = Literal["signed", "unsigned"]
"""How bytes of 8 bits are read: -128 to 127, or 0 to 255."""
MAX_MAP_VALUE = 127
"""Map value of probability 1; maps hold integers from 0 to this, read alike as signed and as unsigned bytes."""
SCALE_TOLERANCE = 0.05
"""Share by which voxel sizes may differ within one network or training set."""
SAME_SIZE_TOLERANCE = 0.01
"""Share by which voxel sizes of one grid may differ, because headers are rounded."""


def differs_in_size(voxel_size_angstrom: float, expected_angstrom: float, *, tolerance: float) -> bool:
    """Return whether a voxel size differs from the expected one by more than this share of it."""
    return abs(voxel_size_angstrom - expected_angstrom) > tolerance * expected_angstrom


@dataclass(frozen=True)
class VoxelGrid:
    """Position and spacing of the voxels of a volume."""

    shape_zyx: tuple[int, int, int]
    """Voxels along z, y and x."""
    voxel_size_angstrom: float
    """Edge of one cubic voxel, Å/voxel; 0 if unknown."""
    origin_xyz_angstrom: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Origin along x, y, z as in MRC2014 words 50-52, Å."""
    nstart_xyz: tuple[int, int, int] = (0, 0, 0)
    """Index of the first column, row and section along x, y, z, MRC2014 words 5-7."""


@dataclass(frozen=True)
class DensityScale:
    """Normalisation of the densities of one tomogram: (density - mean) / sigma * sign."""

    mean: float
    """Mean density of the tomogram, in its own units."""
    sigma: float
    """Standard deviation of the densities; above 0."""
    sign: int = 1
    """-1 inverts a tomogram of the other polarity."""


@dataclass(frozen=True)
class ValueMeaning:
    """What the numbers of a volume mean, for files of other programs."""

    lines: tuple[str, ...] = ()
    """As text; the first one says what the volume is."""
    display_range: tuple[float, float] | None = None
    """The numbers to show as black and white; None if unknown."""
    is_never_negative: bool = False
    """Signed bytes hold 0 to 127 only."""
