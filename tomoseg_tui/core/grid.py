"""What the numbers of a volume mean: where its voxels stand, how densities compare, how maps hold probabilities.

Files are the business of io.
"""

from dataclasses import dataclass

MAX_MAP_VALUE = 127
"""A map holds whole numbers from 0 to this one for probabilities from 0 to 1: the same for readers of signed and of
unsigned bytes."""
SCALE_TOLERANCE = 0.05
"""Share by which voxel sizes may differ for one network or training set."""
SAME_SIZE_TOLERANCE = 0.01
"""Share by which voxel sizes of one grid may differ: headers are rounded."""


def differs_in_size(voxel_size_angstrom: float, expected_angstrom: float, *, tolerance: float) -> bool:
    """Tell whether a voxel size is off the expected one by more than this share of it."""
    return abs(voxel_size_angstrom - expected_angstrom) > tolerance * expected_angstrom


@dataclass(frozen=True)
class VoxelGrid:
    """Where the voxels of a volume stand in space."""

    shape_zyx: tuple[int, int, int]
    """Voxels along z, y and x."""
    voxel_size_angstrom: float
    """Edge of one cubic voxel, Å/voxel; 0 where nobody has said it."""
    origin_xyz_angstrom: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Origin as MRC2014 words 50-52 give it, in x, y, z, Å."""
    nstart_xyz: tuple[int, int, int] = (0, 0, 0)
    """Index of the first column, row and section, MRC2014 words 5-7, in x, y, z."""


@dataclass(frozen=True)
class DensityScale:
    """What turns densities of one tomogram into comparable numbers: (density - mean) / sigma * sign."""

    mean: float
    """Mean density of the tomogram, in its own units."""
    sigma: float
    """Standard deviation of the densities; above 0."""
    sign: int = 1
    """-1 turns a tomogram of the other polarity."""
