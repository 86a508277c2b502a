"""Names, settings, receptive field, size and cost of the networks, without TensorFlow.

What a network looks like is decided here; `learn.networks` builds exactly this, and a test holds the
two together. What a training is asked to do stands here too, since cards and jobs keep it.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from itertools import pairwise
from math import ceil
from typing import Any, Literal

from tomoseg_tui.errors import TrainingError

DEFAULT_NETWORK = "slabnet"
"""The network that `default` and a missing name stand for."""
EMAN2_NETWORK = "eman2"
"""The reference network of EMAN2's e2tomoseg_convnet.py."""
EMAN2_KERNELS = (40, 40)
"""Kernels of the two hidden layers of EMAN2's network."""
EMAN2_KERNEL_SIZE = 15
"""Edge of EMAN2's kernels in pixels."""
EMAN2_COPIES = 10
"""Rotated copies of a negative tile in one pass; the positives together get as many."""
MIN_EPOCH_STEPS = 25
"""Fewer steps than this between two looks at the held-out tiles tell nothing new."""
PASSES_PER_EPOCH = 2
"""Over the training tiles, in one epoch of the U-Net: with one, looks at the held-out tiles of four features
took a sixth of the time."""
MAX_STEPS = 4000
"""More steps of the U-Net than this bring nothing that is worth the wait."""
MIN_EPOCHS = 5
"""Each tile is seen at least so often."""
MAX_FEATURE_FACTOR = 1.7
"""Steps of four features, times those of one: with the looks at more held-out tiles, twice the time. More brought
nothing."""
BORDER_PIXELS = 16
"""As far as a tile's window reaches beyond the tile in training; 32 and 64 found no more."""


@dataclass(frozen=True)
class Convolution:
    """One convolution of a network, as far as size and cost go."""

    kernel: int
    """Edge of the kernel, in pixels of its input grid."""
    inputs: int
    """Channels read."""
    outputs: int
    """Channels written; each has a bias."""
    reduction: int
    """Tomogram pixels between two neighbours of the grid it writes on."""
    input_reduction: int
    """Tomogram pixels between two neighbours of the grid it reads from."""
    transposed: bool = False
    """True where each input pixel becomes its own block of output pixels."""
    normalised: bool = False
    """True where batch normalisation follows: a scale and a shift a channel instead of a bias."""

    @property
    def parameters(self) -> int:
        """Weights and biases, or scales and shifts."""
        return self.kernel**2 * self.inputs * self.outputs + self.outputs * (2 if self.normalised else 1)

    @property
    def flops_per_pixel(self) -> float:
        """Floating point operations for each tomogram pixel; a multiply-add counts 2."""
        taps = 1 if self.transposed else self.kernel**2
        return 2.0 * taps * self.inputs * self.outputs / self.reduction**2

    @property
    def reach_pixels(self) -> int:
        """How much further than its own grid cell the layer sees, in tomogram pixels."""
        steps_each_side = (self.kernel * self.input_reduction - self.reduction) // 2
        return 0 if self.transposed else ceil(steps_each_side / self.reduction) * self.reduction


@dataclass(frozen=True)
class NetworkSettings:
    """What a network looks like.

    Examples
    --------
    >>> network_named("eman2").parameters(features=1)
    378081
    """

    name: str
    """How the network is called in commands and cards."""
    kind: Literal["unet", "stack"]
    """unet: contracting and expanding ways with bridges; stack: EMAN2's three layers."""
    description: str
    """One line for a list of networks."""
    slices: int
    """Slices read at once; with `slices_out` - 1 more at most 9, what a tile keeps."""
    channels: tuple[int, ...]
    """Channels of each grid of the U-Net, the finest first, each grid half as fine as the one before;
    kernels of the hidden layers of EMAN2's network. Multiples of 16 waste nothing of a processor's registers."""
    fold: int = 1
    """Pixels that the first convolution steps: 2 works on half the grid, for a quarter of the time a channel."""
    slices_out: int = 1
    """Neighbouring slices segmented at once, in the middle of those read: two for the price of one."""
    clamp_sigma: float = 5.0
    """Densities further from the mean are held there, in sigma: gold would drown all else."""

    @property
    def context_slices(self) -> int:
        """Slices needed above and below those that are segmented at once."""
        return (self.slices - self.slices_out) // 2

    @property
    def stride(self) -> int:
        """Number of which y and x of an input must be multiples, in pixels."""
        return 2 if self.kind == "stack" else self.fold * 2 ** (len(self.channels) - 1)

    @property
    def margin_pixels(self) -> int:
        """Pixels around an output in y and x that it depends on, rounded up to a multiple of the stride."""
        reach = sum(layer.reach_pixels for layer in self.convolutions(1)) + self.stride - 1
        reach += 2 if self.kind == "stack" else 0  # the bilinear enlargement looks one coarse pixel further
        return ceil(reach / self.stride) * self.stride

    @property
    def border_pixels(self) -> int:
        """Pixels by which a tomogram goes on, mirrored, beyond its border in y and x; a multiple of the stride.

        Zeros there are what no tile shows, and what is wide is then missed along the border. EMAN2 has zeros.
        """
        return 0 if self.kind == "stack" else ceil(BORDER_PIXELS / self.stride) * self.stride

    def convolutions(self, features: int) -> tuple[Convolution, ...]:
        """List the convolutions from the input to `features` outputs."""
        return _stack_layers(features) if self.kind == "stack" else _unet_layers(self, features)

    def parameters(self, features: int) -> int:
        """Count the numbers that a training finds."""
        return sum(layer.parameters for layer in self.convolutions(features))

    def flops_per_pixel(self, features: int) -> float:
        """Return the floating point operations for each voxel that is segmented; a multiply-add counts 2."""
        return sum(layer.flops_per_pixel for layer in self.convolutions(features)) / self.slices_out

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for a checkpoint, the same after a way through JSON."""
        return {**asdict(self), "channels": list(self.channels)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "NetworkSettings":
        """Read what `to_dict` wrote; keys of newer versions are passed over."""
        supported = _supported_values(cls, values)
        return cls(**{**supported, "channels": tuple(supported["channels"])})


def _stack_layers(features: int) -> tuple[Convolution, ...]:
    first, second = EMAN2_KERNELS
    size = EMAN2_KERNEL_SIZE
    return (
        Convolution(size, 1, first, 1, 1),
        Convolution(size, first, second, 2, 2),
        Convolution(size, second, features, 2, 2),
    )


def _unet_layers(settings: NetworkSettings, features: int) -> tuple[Convolution, ...]:
    channels, fold = settings.channels, settings.fold
    layers = [
        _hidden_convolution(3 * fold, settings.slices, channels[0], fold, 1),
        _hidden_convolution(3, channels[0], channels[0], fold),
    ]
    for level, (narrower, wider) in enumerate(pairwise(channels), start=1):
        grid = fold * 2**level
        layers += [_hidden_convolution(3, narrower, wider, grid), _hidden_convolution(3, wider, wider, grid)]
    for level, (narrower, wider) in reversed(list(enumerate(pairwise(channels)))):
        grid = fold * 2**level
        layers.append(_hidden_convolution(1, wider, narrower, 2 * grid))
        layers += [
            _hidden_convolution(3, 2 * narrower, narrower, grid),
            _hidden_convolution(3, narrower, narrower, grid),
        ]
    return (*layers, Convolution(fold, channels[0], features * settings.slices_out, 1, fold, transposed=True))


def _hidden_convolution(
    kernel: int, inputs: int, outputs: int, grid: int, input_grid: int | None = None
) -> Convolution:
    return Convolution(kernel, inputs, outputs, grid, input_grid or grid, normalised=True)


@dataclass(frozen=True)
class TrainingSettings:
    """What a training is asked to do."""

    network: str
    """Name of the network; a key of `NETWORKS`."""
    epochs: int
    """Passes, each ended by a look at the held-out tiles."""
    learning_rate: float
    """Largest step of the optimizer; the U-Net's falls along a cosine, EMAN2's stays."""
    batch: int
    """Tiles in one step."""
    seed: int = 0
    """Start of all chance: the first weights, the order of tiles, the augmentation."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for a card."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TrainingSettings":
        """Read what `to_dict` wrote; keys of newer versions are passed over."""
        return cls(**_supported_values(cls, values))


def _supported_values(cls: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(cls)}
    return {key: value for key, value in values.items() if key in names}


_SLABNET = NetworkSettings(
    name=DEFAULT_NETWORK,
    kind="unet",
    description="2.5-D U-Net: eight slices in, the two in their middle out",
    slices=8,
    slices_out=2,
    channels=(32, 64, 96, 128),
    fold=2,
)
_UNET25D = NetworkSettings(
    name="unet25d",
    kind="unet",
    description="the default of version 0.1.0: nine slices in, one out",
    slices=9,
    channels=(32, 48, 72),
    fold=2,
)
_EMAN2 = NetworkSettings(
    name=EMAN2_NETWORK,
    kind="stack",
    description="EMAN2's network: three layers of 15 x 15 kernels on one slice",
    slices=1,
    channels=EMAN2_KERNELS,
    clamp_sigma=float("inf"),
)
NETWORKS: dict[str, NetworkSettings] = {network.name: network for network in (_SLABNET, _UNET25D, _EMAN2)}
"""The networks that can be trained, by name."""


def network_named(name: str) -> NetworkSettings:
    """Return the settings of a network of the library; `default` is the default network.

    Raises
    ------
    TrainingError
        If there is no such network.
    """
    settings = NETWORKS.get(DEFAULT_NETWORK if name == "default" else name)
    if settings is None:
        names = ", ".join(["default", *sorted(NETWORKS)])
        raise TrainingError(f"There is no network called {name!r}.", f"Choose one of: {names}.")
    return settings


_DEFAULTS = {
    "unet": TrainingSettings(network=DEFAULT_NETWORK, epochs=50, learning_rate=4e-3, batch=8),
    "stack": TrainingSettings(network=EMAN2_NETWORK, epochs=20, learning_rate=1e-4, batch=20),
}


def default_training(network: str, tiles: int, features: int) -> TrainingSettings:
    """Return the usual settings to train a network.

    Parameters
    ----------
    network : str
        Name of the network, or `default`.
    tiles : int
        Training tiles. Many make long epochs, so the U-Net then takes fewer of them: each tile is seen as often as
        of a few, up to `MAX_STEPS` in all, but there are at least `MIN_EPOCHS`.
    features : int
        Outputs, at least 1. Several share the network's ways, so the U-Net then learns longer, up to
        `MAX_FEATURE_FACTOR` times.

    Raises
    ------
    TrainingError
        If there is no such network.
    """
    chosen = network_named(network)
    defaults = replace(_DEFAULTS[chosen.kind], network=chosen.name)
    if chosen.kind == "stack":
        return defaults
    min_steps = defaults.epochs * MIN_EPOCH_STEPS
    steps = max(min_steps, defaults.epochs * tiles / defaults.batch) * min(MAX_FEATURE_FACTOR, (features + 2) / 3)
    epochs = min(steps, MAX_STEPS) / steps_per_epoch(defaults, tiles, 0)
    return replace(defaults, epochs=max(MIN_EPOCHS, round(epochs)))


def steps_per_epoch(settings: TrainingSettings, positives: int, negatives: int) -> int:
    """Return the training steps of one epoch.

    Parameters
    ----------
    settings : TrainingSettings
        Names the network and the batch.
    positives, negatives : int
        Training tiles that hold any feature, and that hold none.

    Returns
    -------
    int
        Steps, at least 1. `PASSES_PER_EPOCH` over the tiles but at least `MIN_EPOCH_STEPS`; for EMAN2's
        network one pass over its rotated copies: `EMAN2_COPIES` a negative and as many in all for the
        positives. Where one kind is missing the other sets the number.
    """
    if network_named(settings.network).kind == "stack":
        copies = EMAN2_COPIES * 2 * negatives if positives and negatives else EMAN2_COPIES * (positives + negatives)
        return max(1, ceil(copies / settings.batch))
    return max(MIN_EPOCH_STEPS, ceil(PASSES_PER_EPOCH * (positives + negatives) / settings.batch))
