"""Changes by which other tomograms may differ, applied to a tomogram with known truth."""

from collections.abc import Callable
from math import radians, tan

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Volume = NDArray[np.float32]
"""Raw densities, shape (z, y, x)."""

NOISE_SIGMA = 1.0
"""White noise, in sigma of the volume."""
BLUR_VOXELS = 0.8
"""Sigma of the Gaussian, voxels."""
CONTRAST_POWER = 0.7
DARK_SQUARE = 0.05
"""Weight of the square that is subtracted from dark densities."""
WEDGE_DEGREES = 45.0
"""Largest remaining tilt; the tilt axis is y."""


def noised(volume: Volume) -> Volume:
    """Add white noise."""
    chance = np.random.default_rng(0)
    return _as_volume(volume + NOISE_SIGMA * volume.std() * chance.standard_normal(volume.shape, np.float32))


def blurred(volume: Volume) -> Volume:
    """Smooth with a Gaussian."""
    return _as_volume(ndimage.gaussian_filter(volume, BLUR_VOXELS))


def other_contrast(volume: Volume) -> Volume:
    """Change the contrast nonlinearly: weak densities become stronger, dark ones darker by their square."""
    normal = (volume - volume.mean()) / volume.std()
    bent = np.sign(normal) * np.abs(normal) ** CONTRAST_POWER
    return _as_volume(bent - DARK_SQUARE * np.minimum(normal, 0) ** 2)


def narrower_wedge(volume: Volume) -> Volume:
    """Keep the Fourier components with |kz| at most tan(45 degrees) times |kx|."""
    spectrum = np.fft.rfftn(volume)
    depth, _, width = volume.shape
    kz = np.abs(np.fft.fftfreq(depth))[:, np.newaxis, np.newaxis]
    kx = np.fft.rfftfreq(width)[np.newaxis, np.newaxis, :]
    spectrum *= kz <= tan(radians(WEDGE_DEGREES)) * kx + 1e-9
    return _as_volume(np.fft.irfftn(spectrum, s=volume.shape, axes=(0, 1, 2)))


def _as_volume(values: NDArray[np.floating]) -> Volume:
    return np.asarray(values, np.float32)


SHIFTS: dict[str, Callable[[Volume], Volume]] = {
    "noise": noised,
    "blur": blurred,
    "contrast": other_contrast,
    "wedge": narrower_wedge,
}
"""By name."""
