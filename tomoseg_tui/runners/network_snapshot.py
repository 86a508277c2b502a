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

TRIES = 50
"""How often a card and weights that do not fit each other are looked at again."""
WAIT_SECONDS = 0.1
"""How long between two looks."""


@dataclass(frozen=True)
class NetworkCopy:
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
    def is_whole(self) -> bool:
        """True if weights and card are there; the card comes last."""
        return (self.folder / "_card.json").exists()

    def is_of(self, card: NetworkCard) -> bool:
        """Tell whether these are the weights that a card speaks of."""
        return self.weights.exists() and digest_of(self.weights) == card.weights_digest


def copy_network(layout: ProjectLayout, run: str, partial: Path) -> NetworkCopy:
    """Copy card and weights of a run into a job's folder; remove what a stopped job has made with other weights.

    Parameters
    ----------
    layout : ProjectLayout
    run : str
        Name of the run.
    partial : Path
        The job's folder for results in the making; afterwards it holds nothing but the copy's folder.

    Raises
    ------
    TrainingError
        If the card speaks of other weights than those there.
    """
    for _ in range(TRIES):
        card = catalog.network(layout, run)
        copy = NetworkCopy(partial / card.weights_digest)
        for other in partial.iterdir():
            if other != copy.folder:
                shutil.rmtree(other)
        copy.folder.mkdir(exist_ok=True)
        if not copy.is_of(card):  # helpers may be reading one that is whole
            shutil.copyfile(layout.network_weights(run), copy.weights)
        if copy.is_of(card):
            write_record(copy.folder / "_card.json", card)
            return copy
        time.sleep(WAIT_SECONDS)  # an epoch has just ended: its card is written after its weights
    raise TrainingError(f"The card of {run} speaks of other weights than those there.", "Train it again.")


def existing_copy(partial: Path) -> NetworkCopy | None:
    """Return the copy that the first worker of a job has made; None before it is whole."""
    copies = [NetworkCopy(folder) for folder in partial.glob("*")]
    return copies[0] if len(copies) == 1 and copies[0].is_whole else None


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
