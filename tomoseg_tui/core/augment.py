"""Change a training patch the way tomograms differ from one another: patch and generator in, patch out.

All chance comes from the generator handed in, and `step_generator` makes that of a step from seed,
epoch and step, so that nothing of a generator needs saving.
"""

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

_Type = TypeVar("_Type", bound=np.generic)
SHIFTED_SHARE = 0.7
"""Share of the tiles that do not stay in the middle of their window."""
TOUCHING_SHARE = 0.35
"""Share of those that touch its border along an axis; one in eight lies in a corner."""
START_DISTANCES = (2, 2, 3)
"""Slices from a negative tile to where a feature begins; two are twice as likely as three."""
BOTH_SIDES_SHARE = 0.3
"""Share of the negatives with a beginning that have one above and one below."""
WIDE_RADIUS = 16
"""How far from its edge the inside of a wide feature lies, in pixels: four times as far as a network looks along z."""
MIN_WAVELENGTH_ZYX = (16.0, 64.0, 64.0)
"""Shortest wavelength of a slow wave along each axis, in slices and pixels."""
MAX_BLEED = 0.7
"""Largest share of a feature in the last slice before it: the missing wedge smears along z."""


@dataclass(frozen=True, eq=False)
class Patch:
    """A tile of edge s with its surroundings, and what is known of it."""

    densities: NDArray[np.float32]
    """Shape (z, y, x), mean 0 and sigma 1 over the tomogram; the tile is in the middle of y and x."""
    layers: NDArray[np.uint8]
    """Shape (feature, s, s): 0 not looked at, 1 not feature, 2 feature, 3 ignore."""


@dataclass(frozen=True)
class Augmentation:
    """How far a patch is changed."""

    mirror: bool = True
    """Whether z, y and x are mirrored, each in half of the cases."""
    rotation_degrees: float = 180.0
    """Largest turn in the plane, either way."""
    scale: float = 0.1
    """Largest change of size, as a share."""
    shear: float = 0.05
    """Largest shear, as a share."""
    shift_pixels: int = 16
    """How far the tile is moved off the middle of its window. At its furthest it touches the border, so that a
    network meets there what it will meet along the border of a tomogram."""
    contrast: float = 0.3
    """Largest change of contrast, as the logarithm of a factor."""
    brightness_sigma: float = 0.2
    """Largest shift of the mean, in sigma."""
    noise_sigma: float = 0.5
    """Largest sigma of added white noise, in sigma."""
    blur: float = 0.5
    """Largest share of a blurred copy mixed in (or, taken away, of sharpening)."""
    start_share: float = 0.5
    """Share of the negatives beside which a wide feature begins. Hand-placed tiles seldom lie just above or below
    a film, so a network takes one in its furthest slices for one in the slice it segments. Of thin features the
    furthest slices do tell where they are, so nothing is done to them."""
    border_share: float = 0.5
    """Share of the windows that end as a tomogram does, if they were looked at for a wide feature: of a thin one no
    less is found along the border."""
    wave_sigma: float = 0.5
    """Largest height, in sigma, of the slow wave laid over tiles that were looked at for a wide feature. Inside it
    there is nothing but a texture on a slightly other density, and a network that goes by that density takes every
    darker place of another tomogram for the feature."""


NO_AUGMENTATION = Augmentation(False, 0.0, 0.0, 0.0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""Patches as they are."""
ROTATIONS_ONLY = replace(NO_AUGMENTATION, rotation_degrees=180.0)
"""Rotated copies, as EMAN2 makes them."""


def step_generator(seed: int, epoch: int, step: int) -> np.random.Generator:
    """Return the generator of one training step, a function of its three numbers alone."""
    return np.random.default_rng((seed, epoch, step))


def augment(patch: Patch, rng: np.random.Generator, edge: int, settings: Augmentation) -> Patch:
    """Return a turned and regraded copy of a patch, cut to a window of `edge` pixels that holds the tile.

    Parameters
    ----------
    patch : Patch
        Left unchanged.
    rng : numpy.random.Generator
        The only source of chance.
    edge : int
        Edge of the densities returned, in pixels; even, at most that of the patch.
    settings : Augmentation
        How far to go.

    Returns
    -------
    Patch
        Densities (z, edge, edge) and layers (feature, edge, edge). Pixels beyond the turned tile are 0, not
        looked at; densities are taken from around the tile, so corners are not empty.
    """
    resampled = random_affine(patch, rng, edge, settings)
    return Patch(jitter_intensity(resampled.densities, rng, settings), resampled.layers)


def is_wide_feature(mask: NDArray[np.bool_]) -> bool:
    """Tell whether a mask (y, x) is somewhere `WIDE_RADIUS` from its edge; it goes on beyond the border of the tile."""
    return bool(mask.all() or ndimage.distance_transform_edt(mask).max() >= WIDE_RADIUS)


def start_feature_beside(patch: Patch, feature_patch: Patch, rng: np.random.Generator) -> Patch:
    """Let a feature begin two or three slices above or below a patch that holds none.

    Parameters
    ----------
    patch : Patch
        Its middle slice is that of the tile. Left unchanged.
    feature_patch : Patch
        Of the same shape; its middle slice shows the feature. Mirrored anew for each side.
    rng : numpy.random.Generator
        The only source of chance.

    Returns
    -------
    Patch
        Far slices are those of `feature_patch` from its middle on, and the last slice before them is a mixture. The
        tile's own slice and all layers are as they were.
    """
    densities = patch.densities.copy()
    direction = rng.choice([-1, 1])
    sides = (direction, -direction) if rng.random() < BOTH_SIDES_SHARE else (direction,)
    for side in sides:
        _insert_feature(densities[::side], random_flip(feature_patch, rng).densities[::side], rng)
    return Patch(densities, patch.layers)


def _insert_feature(densities: NDArray[np.float32], feature: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Write the slices of a feature over those behind the middle, from some distance on."""
    middle, distance = len(densities) // 2, rng.choice(START_DISTANCES)
    first = middle + distance
    densities[first:] = feature[middle : middle + len(densities) - first]
    bleed = np.float32(rng.uniform(0, MAX_BLEED))
    densities[first - 1] += bleed * (feature[middle] - densities[first - 1])


def add_density_wave(patch: Patch, max_height: float, rng: np.random.Generator) -> Patch:
    """Add a slow wave to the densities, as ice of uneven thickness and lost low frequencies do.

    Parameters
    ----------
    patch : Patch
        Left unchanged.
    max_height : float
        Largest height of the wave, in sigma.
    rng : numpy.random.Generator
        Chooses height, direction, length (at least `MIN_WAVELENGTH_ZYX`) and phase.
    """
    z, y, x = (np.arange(size, dtype=np.float32) for size in patch.densities.shape)
    along_z, along_y, along_x = 2 * np.pi * rng.uniform(-1, 1, 3) / MIN_WAVELENGTH_ZYX
    phase = along_z * z[:, np.newaxis, np.newaxis] + along_y * y[:, np.newaxis] + along_x * x
    wave = rng.uniform(0, max_height) * np.cos(phase + rng.uniform(0, 2 * np.pi))
    return Patch(patch.densities + wave.astype(np.float32), patch.layers)


def mirror_border(patch: Patch, pixels: int, rng: np.random.Generator) -> Patch:
    """Let a patch end at one side of y or x as a tomogram ends when a network is applied to it: it goes on mirrored.

    Parameters
    ----------
    patch : Patch
        Densities and layers of the same y and x, more than twice as many as `pixels`. Left unchanged.
    pixels : int
        How many pixels at the side become a mirrored copy of their neighbours, layers too.
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
    """Turn, scale and shear a patch about the middle of its tile, in the plane, and move it within its window.

    Returns
    -------
    Patch
        As `augment` returns it. Densities bilinear, layers from the nearest pixel; beyond the patch the
        densities of its border go on.
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
    """Return how far (y, x) a window is moved: in some cases not at all, in others along each axis as far as it may."""
    if max_shift == 0 or rng.random() >= SHIFTED_SHARE:
        return np.zeros(2)
    uniform_shift = rng.integers(-max_shift, max_shift, 2, endpoint=True)
    extreme_shift = max_shift * rng.choice([-1, 1], 2)
    return np.where(rng.random(2) < TOUCHING_SHARE, extreme_shift, uniform_shift).astype(np.float64)


def _source_yx(
    matrix: NDArray[np.float64], edge: int, shift_yx: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return where each output pixel comes from, in pixels from the middle; two arrays (edge, edge)."""
    axis = np.arange(edge) - (edge - 1) / 2
    y, x = np.meshgrid(axis + shift_yx[0], axis + shift_yx[1], indexing="ij")
    source = np.tensordot(matrix, np.stack([y, x]), axes=1).astype(np.float32)
    return source[0], source[1]


def _bilinear(volume: NDArray[np.float32], y: NDArray[np.float32], x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Read (z, y, x) densities at offsets from the middle, in pixels; (z, *y.shape)."""
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
    """Read (feature, y, x) layers at offsets from the middle, in pixels; 0 beyond them."""
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
