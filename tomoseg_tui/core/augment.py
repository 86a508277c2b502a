"""Augment training patches with changes that also occur between tomograms.

All randomness comes from the generator passed in. `step_generator` derives one from seed, epoch and step, so that no
generator state needs to be saved.
"""

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_Type = TypeVar("_Type", bound=np.generic)
SHIFTED_SHARE = 0.7
"""Share of tiles that are shifted from the centre of their window."""
TOUCHING_SHARE = 0.35
"""Share of these that touch the window's border along each axis; one in eight lies in a corner."""
START_DISTANCES = (2, 2, 3)
"""Slices from a negative tile to the start of a feature; 2 is twice as likely as 3."""
BOTH_SIDES_SHARE = 0.3
"""Share of these negatives with a feature both above and below."""
WIDE_RADIUS = 16
"""Least distance in pixels from the edge to the inside of a wide feature: four times a network's reach along z."""
MIN_WAVELENGTH_ZYX = (16.0, 64.0, 64.0)
"""Shortest wavelength of a density wave along each axis, in slices and pixels."""
MAX_BLEED = 0.7
"""Largest share of a feature mixed into the slice before it: the missing wedge smears along z."""


@dataclass(frozen=True, eq=False)
class Patch:
    """A tile of edge s with its surroundings and its labels."""

    densities: NDArray[np.float32]
    """Shape (z, y, x), mean 0 and sigma 1 over the tomogram; the tile is in the middle of y and x."""
    layers: NDArray[np.uint8]
    """Shape (feature, s, s): 0 unlabelled, 1 not feature, 2 feature, 3 ignore."""


@dataclass(frozen=True)
class Augmentation:
    """Strengths of the augmentation."""

    mirror: bool = True
    """Mirror z, y and x, each in half of the cases."""
    rotation_degrees: float = 180.0
    """Largest rotation in the plane, either way."""
    scale: float = 0.1
    """Largest change of size, as a share."""
    shear: float = 0.05
    """Largest shear, as a share."""
    shift_pixels: int = 16
    """Largest shift of the tile from the centre of its window. At this shift it touches the border, so that a network
    is trained on conditions as at the border of a tomogram."""
    contrast: float = 0.3
    """Largest change of contrast, as the logarithm of a factor."""
    brightness_sigma: float = 0.2
    """Largest shift of the mean, in sigma."""
    noise_sigma: float = 0.5
    """Largest sigma of added white noise, in sigma."""
    blur: float = 0.5
    """Largest share of a blurred copy mixed in (or, taken away, of sharpening)."""
    start_share: float = 0.5
    """Share of negatives that get the start of a wide feature in their outer slices. Hand-placed tiles seldom lie just
    above or below a film, so a network would mistake a film in its outer slices for one in the slice it segments.
    The outer slices do help to locate thin features, so nothing is done to those."""
    border_share: float = 0.5
    """Share of windows, labelled for a wide feature, that get a border like a tomogram's. Thin features are found
    along the border without it."""
    wave_sigma: float = 0.5
    """Largest amplitude, in sigma, of the density wave added to tiles labelled for a wide feature. The inside of a wide
    feature is texture on a slightly different density; a network that relies on that density would mistake every
    darker region of another tomogram for the feature."""


NO_AUGMENTATION = Augmentation(False, 0.0, 0.0, 0.0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""Leaves patches as they are."""
ROTATIONS_ONLY = replace(NO_AUGMENTATION, rotation_degrees=180.0)
"""Rotated copies, as in EMAN2."""


def step_generator(seed: int, epoch: int, step: int) -> np.random.Generator:
    """Return the generator of one training step, determined by the three numbers alone."""
    return np.random.default_rng((seed, epoch, step))


def augment(patch: Patch, rng: np.random.Generator, edge: int, settings: Augmentation) -> Patch:
    """Return a rotated copy of a patch with changed intensities, cropped to a window of `edge` pixels around the tile.

    Parameters
    ----------
    patch : Patch
        Left unchanged.
    edge : int
        Edge of the returned densities, in pixels; even, at most that of the patch.

    Returns
    -------
    Patch
        Densities (z, edge, edge) and layers (feature, edge, edge). Layers are 0 (unlabelled) outside the rotated tile;
        densities there come from its surroundings, so corners are not empty.
    """
    resampled = random_affine(patch, rng, edge, settings)
    return Patch(jitter_intensity(resampled.densities, rng, settings), resampled.layers)


def is_wide_feature(mask: NDArray[np.bool_]) -> bool:
    """Return whether a mask (y, x) has a pixel at least `WIDE_RADIUS` from its edge; the tile's border is no edge."""
    return bool(mask.all() or ndimage.distance_transform_edt(mask).max() >= WIDE_RADIUS)


def start_feature_beside(patch: Patch, feature_patch: Patch, rng: np.random.Generator) -> Patch:
    """Let a feature start two or three slices above or below a patch that contains none.

    Parameters
    ----------
    patch : Patch
        Its middle slice is that of the tile. Left unchanged.
    feature_patch : Patch
        A patch of the same shape with the feature in its middle slice. Mirrored at random for each side.

    Returns
    -------
    Patch
        The outer slices are those of `feature_patch` from its middle slice on, the slice before them is a mixture.
        The tile's own slice and all layers are unchanged.
    """
    densities = patch.densities.copy()
    direction = rng.choice([-1, 1])
    sides = (direction, -direction) if rng.random() < BOTH_SIDES_SHARE else (direction,)
    for side in sides:
        _insert_feature(densities[::side], random_flip(feature_patch, rng).densities[::side], rng)
    return Patch(densities, patch.layers)


def _insert_feature(densities: NDArray[np.float32], feature: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Overwrite the slices beyond a random distance from the middle with the slices of a feature."""
    middle, distance = len(densities) // 2, rng.choice(START_DISTANCES)
    first = middle + distance
    densities[first:] = feature[middle : middle + len(densities) - first]
    bleed = np.float32(rng.uniform(0, MAX_BLEED))
    densities[first - 1] += bleed * (feature[middle] - densities[first - 1])


def add_density_wave(patch: Patch, max_height: float, rng: np.random.Generator) -> Patch:
    """Add a density wave of long wavelength, like that of uneven ice thickness and lost low frequencies.

    Parameters
    ----------
    patch : Patch
        Left unchanged.
    max_height : float
        Largest amplitude of the wave, in sigma.
    rng : numpy.random.Generator
        Chooses amplitude, direction, wavelength (at least `MIN_WAVELENGTH_ZYX`) and phase.
    """
    z, y, x = (np.arange(size, dtype=np.float32) for size in patch.densities.shape)
    along_z, along_y, along_x = 2 * np.pi * rng.uniform(-1, 1, 3) / MIN_WAVELENGTH_ZYX
    phase = along_z * z[:, np.newaxis, np.newaxis] + along_y * y[:, np.newaxis] + along_x * x
    wave = rng.uniform(0, max_height) * np.cos(phase + rng.uniform(0, 2 * np.pi))
    return Patch(patch.densities + wave.astype(np.float32), patch.layers)


def mirror_border(patch: Patch, pixels: int, rng: np.random.Generator) -> Patch:
    """Mirror a patch at one side of y or x, as a tomogram is mirrored at its border when a network is applied.

    Parameters
    ----------
    patch : Patch
        Densities and layers with the same y and x, each more than twice `pixels`. Left unchanged.
    pixels : int
        Number of pixels at the side that are replaced by a mirrored copy of their neighbours, in the layers too.
    rng : numpy.random.Generator
        Chooses the side.
    """
    axis, step = rng.choice([1, 2]), rng.choice([-1, 1])
    return Patch(_mirror_end(patch.densities, pixels, axis, step), _mirror_end(patch.layers, pixels, axis, step))


def _mirror_end(array: NDArray[_Type], pixels: int, axis: int, step: int) -> NDArray[_Type]:
    oriented = array.swapaxes(axis, 1)[:, ::step]
    extended = np.pad(oriented[:, :-pixels], ((0, 0), (0, pixels), (0, 0)), mode="reflect")
    return extended[:, ::step].swapaxes(axis, 1)


def random_flip(patch: Patch, rng: np.random.Generator) -> Patch:
    """Mirror z, y and x, each in half of the cases."""
    z, y, x = (slice(None, None, -1) if flip else slice(None) for flip in rng.random(3) < 0.5)
    return Patch(patch.densities[z, y, x], patch.layers[:, y, x])


def random_affine(patch: Patch, rng: np.random.Generator, edge: int, settings: Augmentation) -> Patch:
    """Rotate, scale and shear a patch about the centre of its tile, in the plane, and shift it within its window.

    Returns
    -------
    Patch
        Shapes as from `augment`. Densities are interpolated bilinearly, layers taken from the nearest pixel; beyond
        the patch, densities are those of its border.
    """
    matrix = _random_matrix(rng, settings)
    y, x = _source_yx(matrix, edge, _random_shift(rng, settings.shift_pixels))
    return Patch(_bilinear(patch.densities, y, x), _nearest(patch.layers, y, x))


def _random_matrix(rng: np.random.Generator, settings: Augmentation) -> NDArray[np.float64]:
    angle = np.deg2rad(rng.uniform(-1, 1) * settings.rotation_degrees)
    scale = 1.0 + rng.uniform(-1, 1) * settings.scale
    shear = rng.uniform(-1, 1) * settings.shear
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix: NDArray[np.float64] = scale * rotation @ np.array([[1.0, shear], [0.0, 1.0]])
    return matrix


def _random_shift(rng: np.random.Generator, max_shift: int) -> NDArray[np.float64]:
    """Return a random shift (y, x) of the window: often none, sometimes along an axis the largest."""
    if max_shift == 0 or rng.random() >= SHIFTED_SHARE:
        return np.zeros(2)
    uniform_shift = rng.integers(-max_shift, max_shift, 2, endpoint=True)
    extreme_shift = max_shift * rng.choice([-1, 1], 2)
    return np.where(rng.random(2) < TOUCHING_SHARE, extreme_shift, uniform_shift).astype(np.float64)


def _source_yx(
    matrix: NDArray[np.float64], edge: int, shift_yx: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the source position of each output pixel, in pixels from the centre; two arrays (edge, edge)."""
    axis = np.arange(edge) - (edge - 1) / 2
    y, x = np.meshgrid(axis + shift_yx[0], axis + shift_yx[1], indexing="ij")
    source = np.tensordot(matrix, np.stack([y, x]), axes=1).astype(np.float32)
    return source[0], source[1]


def _bilinear(volume: NDArray[np.float32], y: NDArray[np.float32], x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Interpolate densities (z, y, x) at offsets in pixels from the centre; shape (z, *y.shape)."""
    rows, columns = volume.shape[1:]
    y = np.clip(y + np.float32((rows - 1) / 2), 0, np.float32(rows - 1.001))
    x = np.clip(x + np.float32((columns - 1) / 2), 0, np.float32(columns - 1.001))
    top, left = y.astype(np.int32), x.astype(np.int32)
    fraction_y, fraction_x = (y - top).astype(np.float32), (x - left).astype(np.float32)
    flat = np.ascontiguousarray(volume).reshape(len(volume), -1)
    corner = top * columns + left
    upper = flat[:, corner] * (np.float32(1) - fraction_x) + flat[:, corner + 1] * fraction_x
    lower = flat[:, corner + columns] * (np.float32(1) - fraction_x) + flat[:, corner + columns + 1] * fraction_x
    interpolated: NDArray[np.float32] = upper * (np.float32(1) - fraction_y) + lower * fraction_y
    return interpolated


def _nearest(layers: NDArray[np.uint8], y: NDArray[np.float32], x: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Read layers (feature, y, x) at offsets in pixels from the centre; 0 outside."""
    edge = layers.shape[-1]
    row = np.rint(y + (edge - 1) / 2).astype(np.int32)
    column = np.rint(x + (edge - 1) / 2).astype(np.int32)
    inside = (row >= 0) & (row < edge) & (column >= 0) & (column < edge)
    values = layers[:, np.clip(row, 0, edge - 1), np.clip(column, 0, edge - 1)]
    return np.where(inside, values, np.uint8(0))


def jitter_intensity(
    densities: NDArray[np.float32], rng: np.random.Generator, settings: Augmentation
) -> NDArray[np.float32]:
    """Change sharpness, contrast and brightness of (z, y, x) densities, and add noise.

    Returns
    -------
    ndarray of float32, shape (z, y, x)
        A new array.
    """
    jittered = densities
    if settings.blur:
        blur_share = rng.uniform(-0.5, 1.0) * settings.blur
        jittered = jittered + np.float32(blur_share) * (
            ndimage.gaussian_filter(jittered, (0, 1, 1), truncate=2) - jittered
        )
    gain = np.exp(rng.uniform(-1, 1) * settings.contrast)
    shift = rng.uniform(-1, 1) * settings.brightness_sigma
    jittered = jittered * np.float32(gain) + np.float32(shift)
    if settings.noise_sigma:
        noise = rng.standard_normal(jittered.shape, dtype=np.float32)
        jittered = jittered + noise * np.float32(rng.uniform(0, 1) * settings.noise_sigma)
    return jittered
