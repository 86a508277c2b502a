"""The key that writes tiles for other programs; what they paint comes back by the tab's own key for masks."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from tomoseg_tui.core.tiles import Place
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.tui.annotate.export_dialog import LendAsked, LendTiles
from tomoseg_tui.tui.shared_actions.file_actions import Asking
from tomoseg_tui.tui.state.snapshot import Facts


class ExchangeKeys(Asking):
    """A tab with a list of tiles that can be written into files."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "E",
            "lend",
            "Export",
            show=False,
            id="annotate.export",
            tooltip="Write tiles or slices for napari, Fiji, 3dmod or EMAN2; I takes back what is painted there",
        ),
    ]

    @abstractmethod
    def lendable(self) -> tuple[Facts | None, str | None, Sequence[Place]]:
        """Return what is known, the feature chosen (None for all), and the tiles of the list, the chosen one first."""

    def action_lend(self) -> None:
        """Ask what is written where, and have a thread write it."""
        facts, feature, places = self.lendable()
        if facts is None or not places:
            self.notify("There is no tile to export yet.", severity="warning")
            return
        project = self.tomoseg.project

        def begin(asked: LendAsked | None) -> None:
            if asked is not None:
                self.notify(f"Writing {asked.path.name} ...", timeout=3)
                self.ask(lambda: (_lend(project, asked), []))

        screen = LendTiles(facts, feature=feature, listed=places, tomogram=places[0].tomogram)
        self.app.push_screen(screen, begin)


def _lend(project: Project, asked: LendAsked) -> str:
    """Write what is asked for; return what is to be told."""
    from tomoseg_tui.workflow.exchange.export_tiles import LoanWish, lend  # noqa: PLC0415  # wakes every format

    loan = lend(
        project,
        LoanWish(asked.path, asked.form, asked.features, asked.places, asked.tomogram, asked.slab, asked.force),
    )
    said = f"{loan.tiles} tiles are in {loan.image}, the masks beside it. I takes back what is painted there."
    return " ".join([said, *loan.remarks])
