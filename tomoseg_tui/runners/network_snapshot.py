"""Copy a network, card and matching weights, for a job.

A run may still be training while it is applied, and each of its epochs may replace both.
"""

import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from tomoseg_tui.errors import TrainingError
from tomoseg_tui.ml.checkpoints import file_digest
from tomoseg_tui.project import catalog
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.records import NetworkCard, read_record, write_record

MAX_TRIES = 50
"""Attempts to read a card and weights that match."""
WAIT_SECONDS = 0.1
"""Time between two attempts."""


@dataclass(frozen=True)
class NetworkSnapshot:
    """A job's copy of a network, in a folder named after the digest of its weights.

    File names begin with ``_``, which no name in a project does, because the folders of tomograms are beside them.
    """

    folder: Path

    @property
    def card(self) -> NetworkCard:
        """The card at the start of the job."""
        return read_record(self.folder / "_card.json", NetworkCard)

    @property
    def weights(self) -> Path:
        """Path of the weights."""
        return self.folder / "_best.weights.h5"

    @property
    def is_complete(self) -> bool:
        """True if weights and card are present; the card is written last."""
        return (self.folder / "_card.json").exists()

    def matches(self, card: NetworkCard) -> bool:
        """Return whether the weights are those of a card."""
        return self.weights.exists() and file_digest(self.weights) == card.weights_digest


def snapshot_network(layout: ProjectLayout, run: str, job_folder: Path) -> NetworkSnapshot:
    """Copy card and weights of a run to a job's folder; remove results that were computed with other weights.

    Parameters
    ----------
    job_folder : Path
        The job's folder of unfinished results; only the folder of this copy is left in it.

    Raises
    ------
    TrainingError
        If the card does not match the weights.
    """
    for _ in range(MAX_TRIES):
        card = catalog.load_network_card(layout, run)
        snapshot = NetworkSnapshot(job_folder / card.weights_digest)
        for stale in job_folder.iterdir():
            if stale != snapshot.folder:
                shutil.rmtree(stale)
        snapshot.folder.mkdir(exist_ok=True)
        if not snapshot.matches(card):  # helpers may be reading a complete copy
            shutil.copyfile(layout.network_weights(run), snapshot.weights)
        if snapshot.matches(card):
            write_record(snapshot.folder / "_card.json", card)
            return snapshot
        time.sleep(WAIT_SECONDS)  # at the end of an epoch, the card is written after the weights
    raise TrainingError(f"The card of {run} does not match its weights.", "Train it again.")


def existing_snapshot(job_folder: Path) -> NetworkSnapshot | None:
    """Return the copy made by the first worker of a job; None until it is complete."""
    snapshots = [NetworkSnapshot(folder) for folder in job_folder.glob("*")]
    return snapshots[0] if len(snapshots) == 1 and snapshots[0].is_complete else None
