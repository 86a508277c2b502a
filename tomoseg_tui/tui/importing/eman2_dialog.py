"""Show what an EMAN2 project holds, and ask how it comes in."""

from collections.abc import Collection

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Input, Select, Static

from tomoseg_tui.errors import UsageError
from tomoseg_tui.tui.dialogs.form import Form
from tomoseg_tui.tui.importing.box_set_rows import MEANING_HINT, SetRows, counted
from tomoseg_tui.tui.widgets.tick import Tick
from tomoseg_tui.workflow.eman2.import_plan import EmanRequest, nameless, sets_of
from tomoseg_tui.workflow.eman2.project import EmanProject

_POLARITIES = (("dark", "dark"), ("bright", "bright"))


class ImportEman(Form[EmanRequest]):
    """Tomograms, polarity, link, voxel size, version and what sets mean.

    Parameters
    ----------
    found : EmanProject
        What is there.
    taken : collection of str
        Names of the tomograms that the project has already.
    """

    def __init__(self, found: EmanProject, taken: Collection[str]) -> None:
        super().__init__(f"The EMAN2 project {found.folder.name}", do="Import", hint=MEANING_HINT)
        self._found = found
        self._new = [tomogram for tomogram in found.tomograms if tomogram.name not in taken]
        new = {tomogram.name for tomogram in self._new}
        self._asks_voxel_size = any(tomogram.name in new for tomogram in nameless(found))

    def rows(self) -> ComposeResult:
        """Make what is filled in."""
        yield Static(self._summary(), id="eman-summary", markup=False)
        yield self.row("Protein", Select(_POLARITIES, value="dark", allow_blank=False, compact=True, id="eman-protein"))
        if self._asks_voxel_size:
            hint = "Å, of tomograms whose header says 0 or 1"
            yield self.row("Voxel size", Input(placeholder=hint, compact=True, id="eman-voxel"))
        hint = "tag of the version of the boxes; found out if empty"
        yield self.row("Boxes on", Input(placeholder=hint, compact=True, id="eman-version"))
        yield Tick("leave the tomograms where they are", compact=True, id="eman-link")
        sets = sets_of(self._found)
        yield SetRows({one.name: counted(box=one.boxes, tile=one.tiles, mask=one.masks) for one in sets})
        if self._found.left:
            with VerticalScroll(id="eman-left", can_focus=False):
                yield Static("\n".join(f"left: {line}" for line in self._found.left), markup=False)

    def _summary(self) -> str:
        size = sum(tomogram.byte_count for tomogram in self._new)
        there = len(self._found.tomograms) - len(self._new)
        words = f"{counted(tomogram=len(self._new))}, {_amount(size)}" if self._new else "no new tomogram"
        return words + (f"; {there} of that name there already" if there else "")

    def on_mount(self) -> None:
        """Let the first thing that must be said be typed at once."""
        wanted = "#eman-voxel" if self._asks_voxel_size else ".set-row Input"
        for field in self.query(wanted).results(Input):
            field.focus()
            return
        self.query_one("#form-do").focus()

    def read(self) -> EmanRequest:
        """Return what is wished for."""
        return EmanRequest(
            folder=self._found.folder,
            link=self.query_one("#eman-link", Tick).value,
            voxel_size_angstrom=self._voxel_size(),
            polarity=str(self.query_one("#eman-protein", Select).value),
            meanings=self.query_one(SetRows).read(),
            version=self.typed("eman-version") or None,
        )

    def _voxel_size(self) -> float | None:
        if not self._asks_voxel_size:
            return None
        typed = self.typed("eman-voxel")
        try:
            size = float(typed)
        except ValueError:
            size = 0.0
        if not 0 < size < float("inf"):
            raise UsageError(f"{typed!r} is no voxel size.", "Give Å per voxel, such as 13.48.")
        return size


def _amount(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
