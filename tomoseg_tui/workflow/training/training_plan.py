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
from tomoseg_tui.io.trainset_file import SetSummary, TileFacts, read_training_set
from tomoseg_tui.project import catalog
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.records import NetworkCard
from tomoseg_tui.workflow.training import trainset
from tomoseg_tui.workflow.training.lineage import earlier_of
from tomoseg_tui.workflow.training.split import fitted
from tomoseg_tui.workflow.training.train_request import FROM_RATE, TrainRequest, set_request

PASSES = 3.0
"""A step goes forward once and back with about twice the work."""
USUAL_FLOPS_A_CORE = 4e10
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

    summary: SetSummary
    """Its tiles: how many a class, what is held out."""
    settings: TrainingSettings
    """What was asked for, else the network's usual settings."""
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
    project : Project
    request : TrainRequest
        As `check_training` takes it; here its name plays no part.

    Raises
    ------
    TomosegError
        If nothing is labelled, a name is unknown, or the tiles do not go together.
    """
    summary, tiles, set_bytes = _tiles(project, request)
    teaching = [tile for tile in tiles if not tile.held_out]
    settings = training_settings(project, request, teaching=len(teaching), features=len(summary.features))
    positive = sum(any(sign > 0 for sign in tile.signs) for tile in teaching)
    steps = steps_per_epoch(settings, positive, len(teaching) - positive)
    each = flops_of_step(settings, summary.tile_size, len(summary.features))
    memory = _memory(settings, summary)
    disk = set_bytes + _results_bytes(settings, summary)
    return TrainingPlan(summary, settings, steps, settings.epochs * steps * each, memory, disk)


def _tiles(project: Project, request: TrainRequest) -> tuple[SetSummary, list[TileFacts], int]:
    """Return the tiles, and the bytes of the training set that the run will have of its own."""
    if request.trainset is not None:
        whole = read_training_set(trainset.require_training_set(project, request.trainset))
        earlier = earlier_of(project, request.made_from) if request.made_from is not None else None
        summary, tiles = fitted(*whole, validation=request.validation, earlier=earlier)
        return summary, [tile.facts for tile in tiles], 0
    summary, tiles = trainset.gather(project, request.name, set_request(request))
    return summary, [tile.facts for tile in tiles], sum(tile.densities.nbytes for tile in tiles)


def _results_bytes(settings: TrainingSettings, summary: SetSummary) -> int:
    """Return about what a run keeps beside its training set, and what it needs while it writes."""
    features = len(summary.features)
    weights = 4 * network_named(settings.network).parameters(features) + FILE_BYTES
    checkpoint = 4 * (weights + FILE_BYTES)  # the weights, their average, and two numbers of the optimizer for each
    triples = TRIPLE_BYTES_PER_PIXEL * (1 + features) * summary.tiles * summary.tile_size**2
    return round(weights + 2 * checkpoint + triples)


def training_settings(project: Project, request: TrainRequest, *, teaching: int, features: int) -> TrainingSettings:
    """Return the settings of a training on so many tiles and features: what was asked for, else the usual ones.

    A training that starts from another run's weights keeps its network, at a tenth of its learning rate.
    """
    earlier = catalog.network(project.layout, request.made_from) if request.made_from is not None else None
    usual = default_training(earlier.network if earlier is not None else request.network, teaching, features)
    rate = request.learning_rate or (usual.learning_rate if earlier is None else earlier.learning_rate * FROM_RATE)
    return replace(
        usual,
        epochs=request.epochs or usual.epochs,
        learning_rate=rate,
        batch=request.batch or usual.batch,
        seed=request.seed if request.seed is not None else project.settings.seed,
    )


def flops_of_step(settings: TrainingSettings, tile: int, features: int) -> float:
    """Return the operations of one training step."""
    network = network_named(settings.network)
    each_pass = network.flops_per_pixel(features) * network.slices_out * input_edge(network, tile) ** 2
    return PASSES * each_pass * settings.batch


def _memory(settings: TrainingSettings, summary: SetSummary) -> int:
    """Return about what the worker needs: itself, the tiles twice, and what a step keeps for its way back."""
    network = network_named(settings.network)
    tile = 4 * (2 * CONTEXT_SLICES + 1) * (summary.tile_size + 2 * CONTEXT_PIXELS) ** 2
    kept = sum(layer.outputs / layer.reduction**2 for layer in network.convolutions(len(summary.features)))
    step = 2 * 4 * kept * settings.batch * input_edge(network, summary.tile_size) ** 2
    return round(WORKER_BYTES + 2 * tile * summary.tiles + step)


def measured_pace(card: NetworkCard, epoch_seconds: Sequence[float]) -> float | None:
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
    laps = [after - before for before, after in zip([0.0, *epoch_seconds], epoch_seconds, strict=False)]
    laps = [lap for lap in laps[1:] or laps if lap > 0]  # the first one compiles
    if not laps:
        return None
    settings = TrainingSettings(card.network, card.epochs, card.learning_rate, card.batch)
    share = card.tile_counts.trained / max(card.tiles, 1)
    positive = round(share * max(card.tile_counts.positive.values(), default=0))
    steps = steps_per_epoch(settings, positive, card.tile_counts.trained - positive)
    return steps * flops_of_step(settings, card.tile_size, len(card.features)) / median(laps)
