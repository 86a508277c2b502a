"""Ask for a file of annotations: an export, a stack of masks, or labels and their features."""

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

from tomoseg_tui.core.label_map import ALL
from tomoseg_tui.core.mask_decoding import format_mask_value
from tomoseg_tui.core.tiles import TileLocation
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.tui.annotate.mask_files import (
    IGNORE,
    STACK_SUFFIXES,
    ExportedFileInfo,
    MaskFileInfo,
    MaskImportChoice,
    inspect_mask_file,
)
from tomoseg_tui.tui.dialogs.base import Dialog
from tomoseg_tui.tui.dialogs.form_fields import AsciiCheckbox
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot
from tomoseg_tui.tui.widgets.path_input import PathInput

LISTED_TILES = ""
"""The tiles of the list, in place of the name of a tomogram; no name is empty."""
EXPLANATION = (
    "Files exported with E contain their tiles. A label volume on the grid of a tomogram is cropped at its tiles; a "
    "stack of masks has one image per tile, in the order of the tiles. MRC, EMAN2 HDF5, TIFF or PNG."
)


class LabelRow(Horizontal):
    """A value of a label volume as the command names it, and its feature."""

    def __init__(self, value: str, amount: str, feature_name: str, features: Sequence[str]) -> None:
        super().__init__(classes="label-row")
        self._value, self._amount, self._feature_name, self._features = value, amount, feature_name, tuple(features)

    def compose(self) -> ComposeResult:
        """Make the widgets of the line."""
        yield Static(self._value if self._value.startswith("#") else f"{self._value} is", classes="label-value")
        yield Input(
            self._feature_name,
            placeholder="not mapped: not the feature",
            suggester=SuggestFromList([*self._features, IGNORE], case_sensitive=False),
            compact=True,
        )
        yield Static(self._amount, classes="label-voxels")

    @property
    def mapping(self) -> str | None:
        """The mapping for the command, such as ``1=microtubule``; None if the label is not mapped."""
        name = self.query_one(Input).value.strip()
        return f"{self._value}={name}" if name else None

    @on(Input.Changed)
    def mark_new_feature(self, event: Input.Changed) -> None:
        """Show that a name would add a feature."""
        name = event.value.strip()
        is_new = bool(name) and name not in (*self._features, IGNORE)
        self.query_one(".label-voxels", Static).update("new feature" if is_new else self._amount)


class ImportMasksDialog(Dialog[MaskImportChoice]):
    """File, tiles, labels or feature, replace.

    Parameters
    ----------
    feature : str or None
        The preselected feature of a stack.
    listed : sequence of TileLocation
        Tiles in the list; they can be chosen instead of those of a tomogram.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Cancel", id="masks.cancel", tooltip="Close without importing"),
        Binding("ctrl+s", "import", "Import", id="masks.take", tooltip="Import", priority=True),
    ]

    class FileInspected(Message):
        """A thread has inspected the file, or failed."""

        def __init__(self, request_number: int, mask_file: MaskFileInfo | None, message: str) -> None:
            super().__init__()
            self.request_number, self.mask_file, self.message = request_number, mask_file, message

    def __init__(
        self,
        snapshot: ProjectSnapshot,
        *,
        tomogram: str | None,
        feature: str | None,
        listed_places: Sequence[TileLocation],
    ) -> None:
        super().__init__()
        self._snapshot, self._tomogram, self._feature, self._listed_places = (
            snapshot,
            tomogram,
            feature,
            tuple(listed_places),
        )
        self._mask_file: MaskFileInfo | None = None
        self._request_number = 0

    def compose(self) -> ComposeResult:
        """Make the form."""
        with_tiles = [t for t in self._snapshot.tomograms if t.tiles]
        options = [(f"{t.name}, all {len(t.tiles)} tiles", t.name) for t in with_tiles]
        if self._listed_places:
            options.append((f"the {len(self._listed_places)} tiles of the list", LISTED_TILES))
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
                suggester = SuggestFromList(self._snapshot.features, case_sensitive=False)
                yield Input(self._feature or "", suggester=suggester, compact=True, id="masks-feature")
            with Horizontal(classes="form-row"):
                yield Static("Flip", classes="form-name")
                yield Input(placeholder="detected; else y, x, z, transpose or none", compact=True, id="masks-flip")
            yield AsciiCheckbox("replace masks painted by hand", compact=True, id="masks-replace")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Import (ctrl+s)", id="masks-take", variant="primary", compact=True)
                yield Button("Cancel (esc)", id="masks-cancel", compact=True)

    def on_mount(self) -> None:
        """Focus the path."""
        self.query_one(PathInput).focus()
        self._arrange()

    # Inspecting the file

    @on(Input.Changed, "#masks-path")
    def inspect_file(self, event: Input.Changed) -> None:
        """Inspect the typed path when it becomes a file."""
        self._request_number += 1
        self._mask_file = None
        self._arrange()
        if event.value.strip():
            self._inspect_in_thread(self._request_number, Path(event.value.strip()))

    @work(thread=True, exclusive=True, group="masks")
    def _inspect_in_thread(self, number: int, typed: Path) -> None:
        worker = get_current_worker()
        shapes = {tomogram.record.shape_zyx for tomogram in self._snapshot.tomograms}
        try:
            path = typed.expanduser().absolute()
            if worker.is_cancelled or not (path.is_file() or _has_masks(path)):
                return
            self.post_message(self.FileInspected(number, None, f"Reading {path.name} ..."))
            mask_file = inspect_mask_file(path, shapes, lambda: worker.is_cancelled)
            self.post_message(self.FileInspected(number, mask_file, ""))
        except TomosegError as fault:
            self.post_message(self.FileInspected(number, None, f"{fault.fault} {fault.fix}"))
        except (OSError, RuntimeError, ValueError):
            return  # not a valid path: no such user, a null byte

    @on(FileInspected)
    async def show_file(self, event: FileInspected) -> None:
        """Show the choices that the file allows."""
        if event.request_number != self._request_number:
            return
        self._mask_file = event.mask_file
        labels = self.query_one("#masks-labels", VerticalScroll)
        await labels.remove_children()
        if event.mask_file is not None:
            await labels.mount_all(self._label_rows(event.mask_file))
        self._arrange()
        if event.message:
            self._show_message(event.message)

    def _label_rows(self, mask_file: MaskFileInfo) -> list[LabelRow]:
        features = self._snapshot.features
        default_names = mask_file.names or ({1: features[0]} if len(features) == 1 == len(mask_file.voxels) else {})
        rows = [
            LabelRow(format_mask_value(value), f"{voxels:,} voxels", default_names.get(value, ""), features)
            for value, voxels in mask_file.voxels.items()
        ]
        if mask_file.numbers > 1:
            others = "all others > 0" if rows else f"{mask_file.numbers:,} values > 0"
            rows.append(LabelRow(ALL, others, "", features))
        return rows

    # The form

    @on(Select.Changed, "#masks-tiles")
    def check_fit(self) -> None:
        """Check whether the file fits the chosen tiles."""
        self._arrange()

    @property
    def _tiles_choice(self) -> str:
        return str(self.query_one("#masks-tiles", Select).value)

    @property
    def _places(self) -> tuple[TileLocation, ...]:
        """The chosen tiles."""
        tomogram = self._snapshot.tomogram(self._tiles_choice)
        return self._listed_places if tomogram is None else tuple(tile.location for tile in tomogram.tiles)

    @property
    def _is_volume(self) -> bool:
        """Whether the file is on the grid of the chosen tomogram."""
        tomogram = self._snapshot.tomogram(self._tiles_choice)
        if self._mask_file is None or self._mask_file.exported is not None or tomogram is None:
            return False
        return self._mask_file.shape_zyx == tomogram.record.shape_zyx

    @property
    def _has_labels(self) -> bool:
        """Whether each value of the file needs a feature."""
        mask_file = self._mask_file
        if mask_file is None or mask_file.exported is not None:
            return False
        if self._is_volume:
            return bool(mask_file.voxels) or mask_file.mask_remark is None
        return self._is_stack(mask_file) and max(len(mask_file.voxels), mask_file.numbers) > 1

    def _needs_feature(self, mask_file: MaskFileInfo) -> bool:
        """Whether the file has masks of one feature, which must be chosen."""
        if mask_file.exported is not None:
            return mask_file.exported.feature is None
        return not self._has_labels and (self._is_volume or self._is_stack(mask_file))

    def _is_stack(self, mask_file: MaskFileInfo) -> bool:
        sizes = {(location.size, location.size) for location in self._places}
        return mask_file.shape_zyx[0] == len(self._places) and sizes == {mask_file.shape_zyx[1:]}

    def _arrange(self) -> None:
        """Show the fields that apply, and describe the file."""
        mask_file = self._mask_file
        self.query_one("#masks-labels").display = self._has_labels
        self.query_one("#masks-one").display = mask_file is not None and self._needs_feature(mask_file)
        self._show_message(EXPLANATION if mask_file is None else self._describe_file(mask_file))

    def _describe_file(self, mask_file: MaskFileInfo) -> str:
        if mask_file.exported is not None:
            return self._describe_export(mask_file, mask_file.exported)
        size = f"{mask_file.path.name}: {' x '.join(map(str, mask_file.shape_zyx))}, {mask_file.kind}."
        tiles = f"{len(self._places)} tiles"
        if self._is_volume:
            return f"{size} {self._describe_volume(mask_file, tiles)}"
        if self._has_labels:
            return f"{size} A stack of labels, one image for each of the {tiles}. Set the feature of each label."
        if self._is_stack(mask_file):
            return f"{size} A stack of masks, one for each of the {tiles}."
        return f"{size} It fits neither the grid nor the {tiles} of the choice. {self._fit_hint(mask_file)}"

    def _describe_volume(self, mask_file: MaskFileInfo, tiles: str) -> str:
        if not self._has_labels:
            text = f"A mask of one feature in {self._tiles_choice}, to be cropped at its {tiles}."
            return f"{text} {mask_file.mask_remark}"
        if not mask_file.voxels and not mask_file.numbers:
            return f"It is on the grid of {self._tiles_choice}, but contains densities, no labels."
        return f"A label volume of {self._tiles_choice}, to be cropped at its {tiles}. Set the feature of each label."

    @staticmethod
    def _describe_export(mask_file: MaskFileInfo, exported: ExportedFileInfo) -> str:
        text = f"{mask_file.path.name} was exported with {exported.tiles} tiles and contains their positions."
        if exported.files > 1:
            return f"{text} {exported.files} files are imported: {', '.join(exported.features)}."
        if exported.feature is None:
            return f"{text} Its name does not tell the feature: choose it."
        return f"{text} The masks of {exported.feature} are imported."

    def _fit_hint(self, mask_file: MaskFileInfo) -> str:
        matching_names = [
            t.name for t in self._snapshot.tomograms if t.tiles and t.record.shape_zyx == mask_file.shape_zyx
        ]
        if matching_names:
            return f"It has the shape of {' and '.join(matching_names)}: choose that."
        tomogram = self._snapshot.tomogram(self._tiles_choice)
        if tomogram is None:
            return "A label volume needs its tomogram: choose it."
        grid = " x ".join(map(str, tomogram.record.shape_zyx))
        return f"Expected: {grid}, or {len(self._places)} masks of the size of the tiles."

    def _show_message(self, text: str) -> None:
        self.query_one("#masks-say", Static).update(Text(text))

    # Closing

    @on(Input.Submitted)
    def focus_next_field(self) -> None:
        """Go to the next field."""
        self.focus_next()

    @on(Button.Pressed, "#masks-cancel")
    def leave(self) -> None:
        """Close without importing."""
        self.dismiss()

    @on(Button.Pressed, "#masks-take")
    def action_import(self) -> None:
        """Import, or show what is missing."""
        mask_file = self._mask_file
        if mask_file is None:
            self._show_message("Enter a file first.")
            return
        if mask_file.exported is None and not self._is_volume and not self._is_stack(mask_file):
            self._show_message(self._describe_file(mask_file))
            return
        request = self._build_request(mask_file)
        if self._has_labels and not request.labels:
            self._show_message("No label has a feature yet. Set at least one; right accepts the suggestion.")
            return
        try:
            request.check()
        except TomosegError as fault:
            self._show_message(f"{fault.fault} {fault.fix}")
            return
        self.dismiss(request)

    def _build_request(self, mask_file: MaskFileInfo) -> MaskImportChoice:
        mappings = [row.mapping for row in self.query(LabelRow)] if self._has_labels else []
        is_export = mask_file.exported is not None
        return MaskImportChoice(
            mask_file.path,
            None if is_export else self._tiles_choice or None,
            () if is_export or self._tiles_choice else self._listed_places,
            tuple(mapping for mapping in mappings if mapping is not None),
            self.query_one("#masks-feature", Input).value.strip() if self._needs_feature(mask_file) else "",
            self.query_one("#masks-replace", AsciiCheckbox).value,
            is_export=is_export,
            flip=tuple(self.query_one("#masks-flip", Input).value.replace(",", " ").split()),
        )


def _has_masks(path: Path) -> bool:
    """Return whether a path is a folder of PNGs, or of an export."""
    return path.is_dir() and any(entry.name.endswith((".png", ".tiles.json")) for entry in path.iterdir())
