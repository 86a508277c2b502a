"""Names, settings, receptive field, size and cost of the networks, and the settings of a training. No TensorFlow.

`ml.networks` builds the networks described here; a test compares the two.
"""

from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from math import ceil
from typing import Any, Literal

from tomoseg_tui.errors import TrainingError

DEFAULT_NETWORK = "slabnet"
"""The network for the name `default` and for no name."""
EMAN2_NETWORK = "eman2"
"""The reference network, that of EMAN2's e2tomoseg_convnet.py."""
EMAN2_KERNELS = (40, 40)
"""Kernels of the two hidden layers of EMAN2's network."""
EMAN2_KERNEL_SIZE = 15
"""Edge of EMAN2's kernels in pixels."""
EMAN2_COPIES = 10
"""Rotated copies of each negative tile in one epoch; the positives together get as many."""
MIN_EPOCH_STEPS = 25
"""Fewest steps between two evaluations of the validation tiles."""
PASSES_PER_EPOCH = 2
"""Passes over the training tiles in one epoch of the U-Net: with one, evaluating the validation tiles of four
features took a sixth of the time."""
MAX_STEPS = 4000
"""Steps of the U-Net beyond which longer training is not worth the time."""
MIN_EPOCHS = 5
"""Fewest epochs of the U-Net by default."""
MAX_FEATURE_FACTOR = 1.7
"""Steps for many features over steps for one. With evaluation on more validation tiles, four features take twice the
time; more steps gave no better scores."""
BORDER_PIXELS = 16
"""Pixels of mirrored border around a tile in training; 32 and 64 gave no better scores."""


@dataclass(frozen=True)
class Convolution:
    """One convolution of a network, for computing size and cost."""

    kernel: int
    """Edge of the kernel, in pixels of its input grid."""
    inputs: int
    """Channels read."""
    outputs: int
    """Channels written; each has a bias."""
    reduction: int
    """Tomogram pixels between two neighbours of the output grid."""
    input_reduction: int
    """Tomogram pixels between two neighbours of the input grid."""
    transposed: bool = False
    """True if each input pixel becomes its own block of output pixels."""
    normalised: bool = False
    """True if batch normalisation follows: a scale and a shift per channel instead of a bias."""

    @property
    def parameters(self) -> int:
        """Weights and biases, or scales and shifts."""
        return self.kernel**2 * self.inputs * self.outputs + self.outputs * (2 if self.normalised else 1)

    @property
    def flops_per_pixel(self) -> float:
        """Floating point operations per tomogram pixel; a multiply-add counts 2."""
        taps = 1 if self.transposed else self.kernel**2
        return 2.0 * taps * self.inputs * self.outputs / self.reduction**2

    @property
    def reach_pixels(self) -> int:
        """Distance seen beyond the layer's own grid cell, in tomogram pixels."""
        steps_each_side = (self.kernel * self.input_reduction - self.reduction) // 2
        return 0 if self.transposed else ceil(steps_each_side / self.reduction) * self.reduction


@dataclass(frozen=True)
class NetworkSettings:
    """Architecture of a network.

    Examples
    --------
    >>> network_named("eman2").parameters(features=1)
    378081
    """

    name: str
    """Name of the network in commands and cards."""
    kind: Literal["unet", "stack"]
    """unet: contracting and expanding path with skip connections; stack: EMAN2's three layers."""
    description: str
    """One line for a list of networks."""
    slices: int
    """Input slices; with `slices_out` - 1 more at most 9, the slices stored with a tile."""
    channels: tuple[int, ...]
    """Channels of each level of the U-Net, the finest first, each level with half the resolution of the one before;
    kernels of the hidden layers of EMAN2's network. Multiples of 16 fill a processor's registers."""
    fold: int = 1
    """Stride of the first convolution in pixels: 2 halves the grid, for a quarter of the time per channel."""
    slices_out: int = 1
    """Neighbouring slices segmented at once, in the middle of the input slices; two take as long as one."""
    clamp_sigma: float = 5.0
    """Distance from the mean at which densities are clipped, in sigma, because of gold beads."""

    @property
    def context_slices(self) -> int:
        """Input slices above and below the output slices."""
        return (self.slices - self.slices_out) // 2

    @property
    def stride(self) -> int:
        """Input sizes in y and x must be multiples of this, in pixels."""
        return 2 if self.kind == "stack" else self.fold * 2 ** (len(self.channels) - 1)

    @property
    def margin_pixels(self) -> int:
        """Receptive field around an output pixel in y and x, rounded up to a multiple of the stride."""
        reach = sum(layer.reach_pixels for layer in self.convolutions(1)) + self.stride - 1
        reach += 2 if self.kind == "stack" else 0  # bilinear upsampling reads one coarse pixel further
        return ceil(reach / self.stride) * self.stride

    @property
    def border_pixels(self) -> int:
        """Pixels of mirrored border added to a tomogram in y and x; a multiple of the stride, 0 for EMAN2's network.

        No tile has zeros beside it, so with zeros as in EMAN2 wide features would be missed along the border.
        """
        return 0 if self.kind == "stack" else ceil(BORDER_PIXELS / self.stride) * self.stride

    def convolutions(self, features: int) -> tuple[Convolution, ...]:
        """Return the convolutions from the input to `features` outputs."""
        return _stack_layers(features) if self.kind == "stack" else _unet_layers(self, features)

    def parameters(self, features: int) -> int:
        """Return the number of trainable parameters."""
        return sum(layer.parameters for layer in self.convolutions(features))

    def flops_per_pixel(self, features: int) -> float:
        """Return the floating point operations per segmented voxel; a multiply-add counts 2."""
        return sum(layer.flops_per_pixel for layer in self.convolutions(features)) / self.slices_out

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for a checkpoint, unchanged by JSON."""
        return {**asdict(self), "channels": list(self.channels)}


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
    """Settings of a training."""

    network: str
    """Name of the network; a key of `NETWORKS`."""
    epochs: int
    """Number of epochs; each ends with an evaluation of the validation tiles."""
    learning_rate: float
    """Largest learning rate; cosine decay for the U-Net, constant for EMAN2's network."""
    batch: int
    """Tiles per step."""
    seed: int = 0
    """Seed of all randomness: initial weights, order of tiles, augmentation."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for a card."""
        return asdict(self)


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
    """Return the settings of the network with this name; `default` is the default network.

    Raises
    ------
    TrainingError
        If there is no such network.
    """
    settings = NETWORKS.get(DEFAULT_NETWORK if name == "default" else name)
    if settings is None:
        names = ", ".join(["default", *sorted(NETWORKS)])
        raise TrainingError(f"There is no network {name!r}.", f"Choose one of: {names}.")
    return settings


_DEFAULTS = {
    "unet": TrainingSettings(network=DEFAULT_NETWORK, epochs=50, learning_rate=4e-3, batch=8),
    "stack": TrainingSettings(network=EMAN2_NETWORK, epochs=20, learning_rate=1e-4, batch=20),
}


def default_training(network: str, tiles: int, features: int) -> TrainingSettings:
    """Return the default settings to train a network.

    Parameters
    ----------
    network : str
        Name of the network, or `default`.
    tiles : int
        Number of training tiles. With many tiles epochs are longer, so the U-Net gets fewer of them: each tile is
        used as often as with few tiles, up to `MAX_STEPS` steps in all, in at least `MIN_EPOCHS` epochs.
    features : int
        Number of outputs, at least 1. Several share the network's layers, so the U-Net is then trained longer, up
        to `MAX_FEATURE_FACTOR` times.

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
    """Return the number of training steps in one epoch.

    Parameters
    ----------
    settings : TrainingSettings
        Gives the network and the batch size.
    positives, negatives : int
        Number of training tiles with any feature, and with none.

    Returns
    -------
    int
        At least 1. For the U-Net `PASSES_PER_EPOCH` passes over the tiles, at least `MIN_EPOCH_STEPS` steps; for
        EMAN2's network one pass over rotated copies: `EMAN2_COPIES` per negative and as many in all for the
        positives, or `EMAN2_COPIES` per tile if there are only positives or only negatives.
    """
    if network_named(settings.network).kind == "stack":
        copies = EMAN2_COPIES * 2 * negatives if positives and negatives else EMAN2_COPIES * (positives + negatives)
        return max(1, ceil(copies / settings.batch))
    return max(MIN_EPOCH_STEPS, ceil(PASSES_PER_EPOCH * (positives + negatives) / settings.batch))
