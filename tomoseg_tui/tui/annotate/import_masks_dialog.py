"""Ask for a file of annotations: what was exported, a stack of masks, or labels and which is which feature."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widgets import Button, Input, Select, Static
from textual.worker import get_current_worker

from tomoseg_tui.core.mask_decoding import value_word
from tomoseg_tui.core.tiles import Place
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.tui.annotate.mask_files import IGNORE, STACK_SUFFIXES, LentFile, MaskFile, MasksWish, look_at_masks
from tomoseg_tui.tui.dialogs.base import Dialog
from tomoseg_tui.tui.state.snapshot import Facts
from tomoseg_tui.tui.widgets.path_input import PathInput
from tomoseg_tui.tui.widgets.tick import Tick

LISTED = ""
"""Stands for the tiles of the list, where a tomogram's name is expected; no name is empty."""
EXPLANATION = (
    "What E has exported finds its tiles by itself. A label volume on a tomogram's grid is cut at its tiles; a stack "
    "of masks has one image a tile, in the order of the tiles. MRC, EMAN2 HDF5, TIFF or PNG."
)


class LabelRow(Horizontal):
    """A value of a label volume, and the feature that it stands for."""

    def __init__(self, value: int, voxels: int, name: str, features: Sequence[str]) -> None:
        super().__init__(classes="label-row")
        self.value, self._voxels, self._name, self._features = value, voxels, name, tuple(features)

    def compose(self) -> ComposeResult:
        """Make the line."""
        word = value_word(self.value)
        yield Static(word if word.startswith("#") else f"{word} is", classes="label-value")
        yield Input(
            self._name,
            placeholder="not mapped: not the feature",
            suggester=SuggestFromList([*self._features, IGNORE], case_sensitive=False),
            compact=True,
        )
        yield Static(f"{self._voxels:,} voxels", classes="label-voxels")

    @property
    def word(self) -> str | None:
        """The word for the command, such as ``1=microtubule``; None if the label is not mapped."""
        name = self.query_one(Input).value.strip()
        return f"{value_word(self.value)}={name}" if name else None

    @on(Input.Changed)
    def tell_what_is_new(self, event: Input.Changed) -> None:
        """Say that a name would make a feature."""
        name = event.value.strip()
        is_new = bool(name) and name not in (*self._features, IGNORE)
        self.query_one(".label-voxels", Static).update("new feature" if is_new else f"{self._voxels:,} voxels")


class ImportMasks(Dialog[MasksWish]):
    """File, tiles, labels or feature, replace.

    Parameters
    ----------
    facts : Facts
        The project.
    tomogram : str or None
        Whose tiles are offered first.
    feature : str or None
        Feature that is offered for a stack.
    listed : sequence of Place
        Tiles that the list shows now; they can be chosen instead of a tomogram's.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Cancel", id="masks.cancel", tooltip="Leave without importing"),
        Binding("ctrl+s", "take", "Import", id="masks.take", tooltip="Import", priority=True),
    ]

    class Looked(Message):
        """A thread has looked at the file, or met a fault."""

        def __init__(self, number: int, found: MaskFile | None, words: str) -> None:
            super().__init__()
            self.number, self.found, self.words = number, found, words

    def __init__(self, facts: Facts, *, tomogram: str | None, feature: str | None, listed: Sequence[Place]) -> None:
        super().__init__()
        self._facts, self._tomogram, self._feature, self._listed = facts, tomogram, feature, tuple(listed)
        self._found: MaskFile | None = None
        self._number = 0

    def compose(self) -> ComposeResult:
        """Make the form."""
        with_tiles = [t for t in self._facts.tomograms if t.tiles]
        options = [(f"{t.name}, all {len(t.tiles)} tiles", t.name) for t in with_tiles]
        if self._listed:
            options.append((f"the {len(self._listed)} tiles of the list as it is now", LISTED))
        names = [name for _, name in options]
        chosen = self._tomogram if self._tomogram in names else names[0]
        with Vertical(classes="dialog wide", id="masks"):
            yield Static("Import annotations", classes="dialog-title")
            with Horizontal(classes="form-row"):
                yield Static("File", classes="form-name")
                yield PathInput((*STACK_SUFFIXES, ".json"), placeholder="path; tab completes", id="masks-path")
            with Horizontal(classes="form-row"):
                yield Static("Tiles", classes="form-name")
                yield Select(options, value=chosen, allow_blank=False, compact=True, id="masks-tiles")
            yield Static(EXPLANATION, id="masks-say", markup=False)
            yield VerticalScroll(id="masks-labels", can_focus=False)
            with Horizontal(classes="form-row", id="masks-one"):
                yield Static("Feature", classes="form-name")
                suggester = SuggestFromList(self._facts.features, case_sensitive=False)
                yield Input(self._feature or "", suggester=suggester, compact=True, id="masks-feature")
            yield Tick("replace what a person has painted", compact=True, id="masks-replace")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Import (ctrl+s)", id="masks-take", variant="primary", compact=True)
                yield Button("Cancel (esc)", id="masks-cancel", compact=True)

    def on_mount(self) -> None:
        """Type at once."""
        self.query_one(PathInput).focus()
        self._arrange()

    # Looking at the file

    @on(Input.Changed, "#masks-path")
    def look(self, event: Input.Changed) -> None:
        """Look at what is typed, as soon as it is a file."""
        self._number += 1
        self._found = None
        self._arrange()
        if event.value.strip():
            self._look(self._number, Path(event.value.strip()))

    @work(thread=True, exclusive=True, group="masks")
    def _look(self, number: int, typed: Path) -> None:
        worker = get_current_worker()
        shapes = {tomogram.record.shape_zyx for tomogram in self._facts.tomograms}
        try:
            path = typed.expanduser().absolute()
            if worker.is_cancelled or not (path.is_file() or _holds_masks(path)):
                return
            self.post_message(self.Looked(number, None, f"Reading {path.name} ..."))
            found = look_at_masks(path, shapes, lambda: worker.is_cancelled)
            self.post_message(self.Looked(number, found, ""))
        except TomosegError as fault:
            self.post_message(self.Looked(number, None, f"{fault.fault} {fault.fix}"))
        except (OSError, RuntimeError, ValueError):
            return  # not a path that can be: no such user's home, a zero byte

    @on(Looked)
    async def take_look(self, event: Looked) -> None:
        """Offer what the file allows."""
        if event.number != self._number:
            return
        self._found = event.found
        labels = self.query_one("#masks-labels", VerticalScroll)
        await labels.remove_children()
        if event.found is not None:
            await labels.mount_all(self._label_rows(event.found))
        self._arrange()
        if event.words:
            self._say(event.words)

    def _label_rows(self, found: MaskFile) -> list[LabelRow]:
        features = self._facts.features
        usual = found.names or ({1: features[0]} if len(features) == 1 == len(found.voxels) else {})
        return [LabelRow(value, voxels, usual.get(value, ""), features) for value, voxels in found.voxels.items()]

    # What fits

    @on(Select.Changed, "#masks-tiles")
    def fit_again(self) -> None:
        """See whether the file fits the tiles chosen."""
        self._arrange()

    @property
    def _where(self) -> str:
        return str(self.query_one("#masks-tiles", Select).value)

    @property
    def _places(self) -> tuple[Place, ...]:
        """The tiles chosen."""
        tomogram = self._facts.tomogram(self._where)
        return self._listed if tomogram is None else tuple(tile.place for tile in tomogram.tiles)

    @property
    def _is_volume(self) -> bool:
        """Whether the file lies on the grid of the tomogram chosen."""
        tomogram = self._facts.tomogram(self._where)
        if self._found is None or self._found.lent is not None or tomogram is None:
            return False
        return self._found.shape_zyx == tomogram.record.shape_zyx

    @property
    def _has_labels(self) -> bool:
        """Whether each value of the file wants a name of its own."""
        found = self._found
        if found is None or found.lent is not None:
            return False
        return self._is_volume or (self._is_stack(found) and len(found.voxels) > 1)

    def _wants_feature(self, found: MaskFile) -> bool:
        """Whether all masks of the file are those of one feature that is to be named."""
        if found.lent is not None:
            return found.lent.feature is None
        return not self._has_labels and self._is_stack(found)

    def _is_stack(self, found: MaskFile) -> bool:
        sizes = {(place.size, place.size) for place in self._places}
        return found.shape_zyx[0] == len(self._places) and sizes == {found.shape_zyx[1:]}

    def _arrange(self) -> None:
        """Show what can be filled in, and say what the file is."""
        found = self._found
        self.query_one("#masks-labels").display = self._has_labels
        self.query_one("#masks-one").display = found is not None and self._wants_feature(found)
        self._say(EXPLANATION if found is None else self._judgement(found))

    def _judgement(self, found: MaskFile) -> str:
        if found.lent is not None:
            return self._judgement_of_lent(found, found.lent)
        size = f"{found.path.name}: {' x '.join(map(str, found.shape_zyx))}, {found.kind}."
        tiles = f"{len(self._places)} tiles"
        if self._is_volume and not found.voxels:
            return f"{size} It lies on the grid of {self._where}, but holds no labels."
        if self._is_volume:
            return f"{size} A label volume of {self._where}, to be cut at its {tiles}. Name the feature of each label."
        if self._has_labels:
            return f"{size} A stack of labels, one image for each of the {tiles}. Name the feature of each label."
        if self._is_stack(found):
            return f"{size} A stack of masks, one for each of the {tiles}."
        return f"{size} It fits neither the grid of a tomogram chosen nor its {tiles}. {self._how_it_would_fit(found)}"

    @staticmethod
    def _judgement_of_lent(found: MaskFile, lent: LentFile) -> str:
        what = f"{found.path.name} was exported with {lent.tiles} tiles, each of which it finds by itself."
        if lent.files > 1:
            return f"{what} Taken are {lent.files} files: {', '.join(lent.features)}."
        if lent.feature is None:
            return f"{what} Its name does not say whose masks it holds: name the feature."
        return f"{what} Taken are the masks of {lent.feature}."

    def _how_it_would_fit(self, found: MaskFile) -> str:
        same = [t.name for t in self._facts.tomograms if t.tiles and t.record.shape_zyx == found.shape_zyx]
        if same:
            return f"It has the shape of {' and '.join(same)}: choose that."
        tomogram = self._facts.tomogram(self._where)
        if tomogram is None:
            return "A label volume needs its tomogram: choose it."
        grid = " x ".join(map(str, tomogram.record.shape_zyx))
        return f"Wanted are {grid}, or {len(self._places)} masks of the tiles' size."

    def _say(self, words: str) -> None:
        self.query_one("#masks-say", Static).update(Text(words))

    # Answering

    @on(Input.Submitted)
    def go_on(self) -> None:
        """Go to the next field."""
        self.focus_next()

    @on(Button.Pressed, "#masks-cancel")
    def leave(self) -> None:
        """Leave without importing."""
        self.dismiss()

    @on(Button.Pressed, "#masks-take")
    def action_take(self) -> None:
        """Import, or say what is missing."""
        found = self._found
        if found is None:
            self._say("Name a file first.")
            return
        if found.lent is None and not self._is_volume and not self._is_stack(found):
            self._say(self._judgement(found))
            return
        wish = self._wish(found)
        if self._has_labels and not wish.labels:
            self._say("No label has a feature yet. Name at least one; right takes what is offered.")
            return
        try:
            wish.check()
        except TomosegError as fault:
            self._say(f"{fault.fault} {fault.fix}")
            return
        self.dismiss(wish)

    def _wish(self, found: MaskFile) -> MasksWish:
        words = [row.word for row in self.query(LabelRow)] if self._has_labels else []
        lent = found.lent is not None
        return MasksWish(
            found.path,
            None if lent else self._where or None,
            () if lent or self._where else self._listed,
            tuple(word for word in words if word is not None),
            self.query_one("#masks-feature", Input).value.strip() if self._wants_feature(found) else "",
            self.query_one("#masks-replace", Tick).value,
            lent=lent,
        )


def _holds_masks(path: Path) -> bool:
    """Tell whether a path is a folder of PNGs, or of an export."""
    return path.is_dir() and any(entry.name.endswith((".png", ".tiles.json")) for entry in path.iterdir())
