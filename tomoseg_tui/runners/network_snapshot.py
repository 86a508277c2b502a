"""Give a job a network of its own: a copy of card and weights that belong together.

A run may still be in training while it is applied, and each of its epochs may replace both.
"""

import hashlib
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from tomoseg_tui.errors import TrainingError
from tomoseg_tui.project import catalog
from tomoseg_tui.project.layout import ProjectLayout
from tomoseg_tui.project.records import NetworkCard, read_record, write_record

MAX_TRIES = 50
"""How often a card and weights that do not fit each other are looked at again."""
WAIT_SECONDS = 0.1
"""How long between two looks."""


@dataclass(frozen=True)
class NetworkSnapshot:
    """A job's own copy of a network, in a folder named after the digest of its weights.

    Its files begin with ``_``, as no name in a project does: folders of tomograms lie beside them.
    """

    folder: Path

    @property
    def card(self) -> NetworkCard:
        """The card, as it was when the job began."""
        return read_record(self.folder / "_card.json", NetworkCard)

    @property
    def weights(self) -> Path:
        """Where the weights lie."""
        return self.folder / "_best.weights.h5"

    @property
    def is_complete(self) -> bool:
        """True if weights and card are there; the card comes last."""
        return (self.folder / "_card.json").exists()

    def matches(self, card: NetworkCard) -> bool:
        """Tell whether these are the weights that a card speaks of."""
        return self.weights.exists() and file_digest(self.weights) == card.weights_digest


def snapshot_network(layout: ProjectLayout, run: str, job_folder: Path) -> NetworkSnapshot:
    """Copy card and weights of a run into a job's folder; remove what a stopped job has made with other weights.

    Parameters
    ----------
    layout : ProjectLayout
    run : str
        Name of the run.
    job_folder : Path
        The job's folder for results in the making; afterwards it holds nothing but the copy's folder.

    Raises
    ------
    TrainingError
        If the card speaks of other weights than those there.
    """
    for _ in range(MAX_TRIES):
        card = catalog.load_network_card(layout, run)
        snapshot = NetworkSnapshot(job_folder / card.weights_digest)
        for stale in job_folder.iterdir():
            if stale != snapshot.folder:
                shutil.rmtree(stale)
        snapshot.folder.mkdir(exist_ok=True)
        if not snapshot.matches(card):  # helpers may be reading one that is whole
            shutil.copyfile(layout.network_weights(run), snapshot.weights)
        if snapshot.matches(card):
            write_record(snapshot.folder / "_card.json", card)
            return snapshot
        time.sleep(WAIT_SECONDS)  # an epoch has just ended: its card is written after its weights
    raise TrainingError(f"The card of {run} speaks of other weights than those there.", "Train it again.")


def existing_snapshot(job_folder: Path) -> NetworkSnapshot | None:
    """Return the copy that the first worker of a job has made; None before it is whole."""
    snapshots = [NetworkSnapshot(folder) for folder in job_folder.glob("*")]
    return snapshots[0] if len(snapshots) == 1 and snapshots[0].is_complete else None


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
