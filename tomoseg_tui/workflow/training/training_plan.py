"""What a training would be, before it is started: its tiles, settings and steps, and a first guess of its cost."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from tomoseg_tui.core.network_settings import (
    TrainingSettings,
    default_training,
    network_named,
    steps_per_epoch,
)
from tomoseg_tui.core.patches import CONTEXT_PIXELS, CONTEXT_SLICES, input_edge
from tomoseg_tui.io.trainset_file import TileMetadata, TrainsetSummary, read_training_set
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import NetworkCard
from tomoseg_tui.workflow.training import trainset
from tomoseg_tui.workflow.training.lineage import parent_runs
from tomoseg_tui.workflow.training.split import apply_split
from tomoseg_tui.workflow.training.train_request import FINE_TUNING_RATE, TrainRequest, trainset_request

PASSES = 3.0
"""A step goes forward once and back with about twice the work."""
TRAINING_FLOPS_PER_CORE = 4e10
"""Operations a second that a core reaches in training; measured between 2.5e10 and 6e10 on a busy server of 2026."""
START_SECONDS = 8.0
"""Until TensorFlow is awake and the first step is compiled."""
FILE_BYTES = 20_000
"""Of a file of weights, beside its numbers: names, shapes and what HDF5 keeps for itself."""
TRIPLE_BYTES_PER_PIXEL = 3.0
"""Of float32 images and outputs, packed."""
WORKER_BYTES = 700_000_000
"""A worker with TensorFlow and nothing else; measured 0.67 GB."""


@dataclass(frozen=True)
class TrainingPlan:
    """What a training would be."""

    summary: TrainsetSummary
    """Its tiles: how many a class, what is held out."""
    settings: TrainingSettings
    """What was asked for, else the network's usual settings."""
    positives: int
    negatives: int
    """Training tiles that hold any feature, and that hold none."""
    steps: int
    """Steps of one epoch."""
    flops: float
    """Operations of all steps."""
    memory_bytes: int
    """Rough."""
    disk_bytes: int
    """What it takes while it works: its own training set, weights, a checkpoint that is being replaced, and triples."""

    def seconds(self, flops_per_second: float) -> float:
        """Return about how long it takes at such a pace."""
        return START_SECONDS + self.flops / flops_per_second


def plan_training(project: Project, request: TrainRequest) -> TrainingPlan:
    """Return what a training would be; nothing is written.

    Parameters
    ----------
    request : TrainRequest
        As `check_training` takes it; here its name plays no part.

    Raises
    ------
    TomosegError
        If nothing is labelled, a name is unknown, or the tiles do not go together.
    """
    summary, tiles, set_bytes = _plan_tiles(project, request)
    training_tiles = [tile for tile in tiles if not tile.held_out]
    settings = training_settings(
        project, request, training_tile_count=len(training_tiles), features=len(summary.features)
    )
    positives = sum(any(sign > 0 for sign in tile.signs) for tile in training_tiles)
    negatives = len(training_tiles) - positives
    steps = steps_per_epoch(settings, positives, negatives)
    return TrainingPlan(
        summary,
        settings,
        positives,
        negatives,
        steps,
        settings.epochs * steps * flops_of_step(settings, summary.tile_size, len(summary.features)),
        _memory_bytes(settings, summary),
        set_bytes + _results_bytes(settings, summary),
    )


def _plan_tiles(project: Project, request: TrainRequest) -> tuple[TrainsetSummary, list[TileMetadata], int]:
    """Return the tiles, and the bytes of the training set that the run will have of its own."""
    if request.trainset is not None:
        training_set = read_training_set(trainset.require_training_set(project, request.trainset))
        parents = parent_runs(project, request.made_from) if request.made_from is not None else None
        summary, tiles = apply_split(*training_set, validation=request.validation, parents=parents)
        return summary, [tile.metadata for tile in tiles], 0
    summary, tiles = trainset.gather_tiles(project, request.name, trainset_request(request))
    return summary, [tile.metadata for tile in tiles], sum(tile.densities.nbytes for tile in tiles)


def _results_bytes(settings: TrainingSettings, summary: TrainsetSummary) -> int:
    """Return about what a run keeps beside its training set, and what it needs while it writes."""
    features = len(summary.features)
    weights = weights_bytes(settings.network, features)
    checkpoint = 4 * (weights + FILE_BYTES)  # the weights, their average, and two numbers of the optimizer for each
    triples = TRIPLE_BYTES_PER_PIXEL * (1 + features) * summary.tiles * summary.tile_size**2
    return round(weights + 2 * checkpoint + triples)


def weights_bytes(network: str, features: int) -> int:
    """Return about how large the file of a network's weights is."""
    return 4 * network_named(network).parameters(features) + FILE_BYTES


def training_settings(
    project: Project, request: TrainRequest, *, training_tile_count: int, features: int
) -> TrainingSettings:
    """Return the settings of a training on so many tiles and features: what was asked for, else the usual ones.

    A training that starts from another run's weights keeps its network, at a tenth of its learning rate.
    """
    parent_card = (
        catalog.load_network_card(project.layout, request.made_from) if request.made_from is not None else None
    )
    defaults = default_training(
        parent_card.network if parent_card is not None else request.network, training_tile_count, features
    )
    learning_rate = request.learning_rate or (
        defaults.learning_rate if parent_card is None else parent_card.learning_rate * FINE_TUNING_RATE
    )
    return replace(
        defaults,
        epochs=request.epochs or defaults.epochs,
        learning_rate=learning_rate,
        batch=request.batch or defaults.batch,
        seed=request.seed if request.seed is not None else project.settings.seed,
    )


def flops_of_step(settings: TrainingSettings, tile: int, features: int) -> float:
    """Return the operations of one training step."""
    network = network_named(settings.network)
    each_pass = network.flops_per_pixel(features) * network.slices_out * input_edge(network, tile) ** 2
    return PASSES * each_pass * settings.batch


def _memory_bytes(settings: TrainingSettings, summary: TrainsetSummary) -> int:
    """Return about what the worker needs: itself, the tiles twice, and what a step keeps for its way back."""
    network = network_named(settings.network)
    tile_bytes = 4 * (2 * CONTEXT_SLICES + 1) * (summary.tile_size + 2 * CONTEXT_PIXELS) ** 2
    activations = sum(layer.outputs / layer.reduction**2 for layer in network.convolutions(len(summary.features)))
    step_bytes = 2 * 4 * activations * settings.batch * input_edge(network, summary.tile_size) ** 2
    return round(WORKER_BYTES + 2 * tile_bytes * summary.tiles + step_bytes)


def measured_flops_per_second(card: NetworkCard, epoch_seconds: Sequence[float]) -> float | None:
    """Return the operations a second that an earlier training reached.

    Parameters
    ----------
    card : NetworkCard
        What it was.
    epoch_seconds : sequence of float
        Seconds from the start to the end of each epoch, as its figures tell; a resumed training starts anew.

    Returns
    -------
    float or None
        None if no epoch was timed.
    """
    durations = [after - before for before, after in zip([0.0, *epoch_seconds], epoch_seconds, strict=False)]
    durations = [duration for duration in durations[1:] or durations if duration > 0]  # the first one compiles
    if not durations:
        return None
    settings = TrainingSettings(card.network, card.epochs, card.learning_rate, card.batch)
    share = card.tile_counts.trained / max(card.tiles, 1)
    positive = round(share * max(card.tile_counts.positive.values(), default=0))
    steps = steps_per_epoch(settings, positive, card.tile_counts.trained - positive)
    return steps * flops_of_step(settings, card.tile_size, len(card.features)) / median(durations)
