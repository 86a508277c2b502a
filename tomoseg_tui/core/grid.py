"""Where the voxels of a volume stand, and what makes its densities comparable. Files are io's business."""

from dataclasses import dataclass


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
