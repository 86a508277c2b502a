"""Merge: combine the maps of a tomogram; thresholds take effect immediately, a job writes the labels."""

from collections.abc import Callable
from typing import Any, ClassVar

import msgspec
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, HorizontalGroup, Vertical, VerticalScroll
from textual.events import DescendantFocus
from textual.widgets import ContentSwitcher, DataTable, Input, Static

from tomoseg_tui.commands.options import to_argv
from tomoseg_tui.commands.results import MERGE
from tomoseg_tui.core.names import check_name
from tomoseg_tui.errors import TomosegError
from tomoseg_tui.jobs.estimate import work_of
from tomoseg_tui.project.records import LabelSidecar, MapSidecar
from tomoseg_tui.render.colours import Palette, make_palette
from tomoseg_tui.tui.dialogs.confirm import Confirm
from tomoseg_tui.tui.dialogs.pick import Pick
from tomoseg_tui.tui.format import format_progress_bar, format_time
from tomoseg_tui.tui.merge.map_selection import (
    MapEntries,
    chosen_entries,
    label_at,
    matches_entries,
    move_entry,
    reset_threshold,
    shift_threshold,
    toggle_entry,
    update_entries,
)
from tomoseg_tui.tui.merge.merge_view import MergeView
from tomoseg_tui.tui.merge.result_table import count_summary, result_table, volume_table
from tomoseg_tui.tui.shared_actions.result_actions import RESULT_BINDINGS, ResultActions, slice_bindings
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot, TomogramSnapshot
from tomoseg_tui.tui.tab_base import hidden_key
from tomoseg_tui.tui.widgets.cost_line import CostLine, measure_binding
from tomoseg_tui.tui.widgets.empty import Empty
from tomoseg_tui.tui.widgets.table import Table
from tomoseg_tui.workflow.merge.merge_request import MergeRequest, merge_request

NO_MAPS = (
    "No map to merge yet",
    (
        "Here the maps of a tomogram are merged into one label volume: in each voxel, the strongest map wins. "
        "Labels are 1 microtubule, 2 membrane ... The slice follows the thresholds immediately.\n"
        "Apply a network to a tomogram first."
    ),
    "Press [b]5[/b] to apply one.",
)
DEFAULT_NAME = "merged"
"""Default name of a label volume."""
PASSED_ON = ("select_cursor", "cursor_left", "cursor_right")
"""Actions of a table whose keys (enter, left, right) are keys of the tab."""


class MergeTab(ResultActions):
    """Maps with thresholds and order, the result, the slice; and the label volumes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *RESULT_BINDINGS,
        Binding("enter", "write", "Write", id="merge.write", tooltip="Write the label volume, as a job"),
        Binding("space", "toggle_map", "In/out", id="merge.toggle", tooltip="Choose the map, or clear the choice"),
        Binding(
            "right,plus,l", "threshold(0.01)", "Threshold", key_display="← →", id="merge.up", tooltip="Threshold + 0.01"
        ),
        hidden_key("left,minus,h", "threshold(-0.01)", "Lower", "merge.down", "Threshold - 0.01"),
        hidden_key("shift+right,L", "threshold(0.1)", "Far higher", "merge.far_up", "Threshold + 0.1"),
        hidden_key("shift+left,H", "threshold(-0.1)", "Far lower", "merge.far_down", "Threshold - 0.1"),
        hidden_key("equals_sign", "card", "Card's threshold", "merge.card", "Restore the threshold of the card"),
        hidden_key(
            "K,less_than_sign", "move(-1)", "Earlier label", "merge.earlier", "Move the map up, to an earlier label"
        ),
        hidden_key(
            "J,greater_than_sign", "move(1)", "Later label", "merge.later", "Move the map down, to a later label"
        ),
        Binding("t", "tomogram", "Tomogram", id="merge.tomogram", tooltip="Choose the tomogram"),
        hidden_key("n", "name", "Name", "merge.name", "Name the label volume"),
        hidden_key("v", "volumes", "Volumes", "merge.volumes", "Show the label volumes, and back"),
        hidden_key("escape", "leave", "Maps", "merge.leave", "Back to the maps"),
        measure_binding("merge"),
        *slice_bindings("merge"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._snapshot: ProjectSnapshot | None = None
        self._tomogram_name: str | None = None
        self._entries: dict[str, MapEntries] = {}
        self._maps: tuple[MapSidecar, ...] = ()
        self._shows_volumes = False
        self._cost_key: tuple[object, ...] = ()
        """The inputs of the shown cost."""

    def compose(self) -> ComposeResult:
        with ContentSwitcher(initial="merge-no-maps"):
            yield Container(Empty(*NO_MAPS), id="merge-no-maps")
            with Horizontal(id="merge-work"):
                with Vertical(id="merge-left"):
                    with Vertical(id="merge-maps-panel", classes="panel"):
                        yield Table("", "map", "by", "above", passthrough=PASSED_ON, id="merge-maps")
                        with HorizontalGroup(id="merge-name-row"):
                            yield Static("name ", classes="hint")
                            yield Input(DEFAULT_NAME, id="merge-name", compact=True, select_on_focus=False)
                        yield CostLine(self.tomoseg.project, id="merge-price")
                    with VerticalScroll(id="merge-result", classes="panel", can_focus=False):
                        yield Static(id="merge-result-words")
                    with Vertical(id="merge-volumes-panel", classes="panel") as volumes:
                        volumes.border_title = "label volumes"
                        yield Table("name", "labels", "made", passthrough=PASSED_ON, id="merge-volumes")
                yield MergeView(id="merge-view", classes="panel")

    # Snapshots

    @property
    def tomogram(self) -> TomogramSnapshot | None:
        """The tomogram whose maps are merged."""
        return self._snapshot.tomogram(self._tomogram_name) if self._snapshot is not None else None

    @property
    def entries(self) -> MapEntries:
        """Its maps with thresholds and order."""
        return self._entries.get(self._tomogram_name or "", ())

    def show_snapshot(self, snapshot: ProjectSnapshot) -> None:
        """Draw the maps of the chosen tomogram, initially the one with the newest maps."""
        self._snapshot = snapshot
        mapped = [tomogram for tomogram in snapshot.tomograms if tomogram.maps]
        self.query_one(ContentSwitcher).current = "merge-work" if mapped else "merge-no-maps"
        if mapped and self.screen.focused is None:
            self.query_one("#merge-maps", Table).focus()
        if not mapped:
            self._tomogram_name = None
            return
        if self._tomogram_name not in {tomogram.name for tomogram in mapped}:
            newest = max(mapped, key=lambda tomogram: max(sidecar.created for sidecar in tomogram.maps))
            self._open_tomogram(newest.name)
        else:
            self._update_maps()
        self._draw()

    def focus_default(self) -> None:
        """Focus the maps."""
        (self.query_one("#merge-maps", Table) if self._tomogram_name else self).focus()

    @property
    def _view(self) -> MergeView:
        return self.query_one(MergeView)

    def _open_tomogram(self, name: str) -> None:
        self._tomogram_name, self._shows_volumes, self._maps = name, False, ()
        tomogram = self.tomogram
        if tomogram is not None:
            self._view.open_tomogram(self.tomoseg.project.layout, tomogram)
            self._update_maps()

    def _update_maps(self) -> None:
        """Update maps that are new or were made again."""
        tomogram = self.tomogram
        if tomogram is None or self._snapshot is None or self._tomogram_name is None or tomogram.maps == self._maps:
            return
        self._maps = tomogram.maps
        features = list(self._snapshot.features)
        newest = sorted(tomogram.maps, key=lambda sidecar: sidecar.created, reverse=True)
        ordered = sorted(
            newest,
            key=lambda sidecar: features.index(sidecar.feature) if sidecar.feature in features else len(features),
        )
        self._entries[self._tomogram_name] = update_entries(ordered, self.entries)
        self._view.clear_slices()

    # Drawing

    def _draw(self) -> None:
        tomogram = self.tomogram
        if tomogram is None:
            return
        rows = [
            (
                volume.name,
                [volume.name, ", ".join(e.feature for e in volume.labels.values()), format_time(volume.created)],
            )
            for volume in tomogram.labels
        ]
        self.query_one("#merge-volumes", Table).show_rows(rows)
        self._draw_maps()
        self._draw_slices()
        self._draw_job()
        self._show_cost()

    def _draw_slices(self) -> None:
        """Show the current labels over the slices, and their counts."""
        layout, volume = self.tomoseg.project.layout, self._volume
        if volume is not None:
            self._view.show_volume(layout, volume)
        else:
            self._view.show_maps(layout, self.entries, self._maps)
        self.draw_result()

    def _draw_maps(self) -> None:
        entries = self.entries
        rows = [(entry.key, self._cells(entries, index)) for index, entry in enumerate(entries)]
        self.query_one("#merge-maps", Table).show_rows(rows)
        panel = self.query_one("#merge-maps-panel")
        panel.border_title = f"{self._tomogram_name}: {len(chosen_entries(entries))} of {len(entries)} maps"
        panel.border_subtitle = "J K order  = card  n name  v volumes"

    def _cells(self, entries: MapEntries, index: int) -> list[Text | str]:
        entry, label = entries[index], label_at(entries, index)
        styles = {label_style.label: label_style for label_style in self._palette()}
        mark = Text(f"{label} ") if label else Text("-")
        if label in styles:
            style = styles[label]
            mark.append(style.letter, f"bold rgb({style.rgb[0]},{style.rgb[1]},{style.rgb[2]})")
        text_style = "" if entry.chosen else "dim"
        threshold = Text(f"{entry.threshold:.2f}", "bold" if entry.chosen else "dim")
        threshold.append(" card" if entry.has_card_threshold else "", "dim")
        return [mark, Text(entry.feature, text_style), Text(entry.run, text_style), threshold]

    def _palette(self) -> Palette:
        return make_palette(
            {number: entry.feature for number, entry in enumerate(chosen_entries(self.entries), start=1)}
        )

    @property
    def _volume(self) -> LabelSidecar | None:
        """The shown label volume; None while the maps are shown."""
        tomogram = self.tomogram
        if tomogram is None or not self._shows_volumes:
            return None
        key = self.query_one("#merge-volumes", Table).row_key
        return next((volume for volume in tomogram.labels if volume.name == key), None)

    @on(MergeView.SliceCounted)
    def draw_result(self) -> None:
        """Show the counts of the labels, in the visible slice and in total."""
        tomogram, volume = self.tomogram, self._volume
        if tomogram is None:
            return
        panel, label = self.query_one("#merge-result"), self.query_one("#merge-result-words", Static)
        voxel_size = tomogram.record.voxel_size_angstrom
        if volume is not None:
            panel.border_title, panel.border_subtitle = f"{volume.name}, all slices", ""
            label.update(volume_table(self._view.palette, voxel_size, volume))
            return
        written = next(
            (
                label_volume
                for label_volume in tomogram.labels
                if matches_entries(label_volume, self.entries, self._maps)
            ),
            None,
        )
        panel.border_title = f"slice {self._view.canvas.z}" + (f" and all of {written.name}" if written else "")
        panel.border_subtitle = "" if written else "enter writes and counts all"
        label.update(result_table(self._palette(), voxel_size, self._view.block, written))

    def _draw_job(self) -> None:
        """Show the progress of the job that writes labels of this tomogram."""
        jobs = self._snapshot.jobs if self._snapshot is not None else ()
        panel = self.query_one("#merge-volumes-panel")
        running_job = next((job for job in jobs if self._is_mine(job) and job["state"] in {"queued", "running"}), None)
        panel.display = running_job is not None or bool(self.tomogram and self.tomogram.labels)
        panel.border_subtitle = (
            f"job {running_job['id']} {format_progress_bar(running_job['progress'], 5)} {running_job['progress']:.0%}"
            if running_job
            else "E export  e score"
        )

    def _is_mine(self, job: Any) -> bool:
        return bool(job["kind"] == "merge" and str(job["name"]).startswith(f"{self._tomogram_name}/"))

    @on(DescendantFocus)
    def switch_side(self, event: DescendantFocus) -> None:
        """Show the maps or the label volumes, depending on the focus."""
        shows_volumes = {"merge-maps": False, "merge-volumes": True}.get(event.widget.id or "")
        if shows_volumes is not None and shows_volumes is not self._shows_volumes:
            self._shows_volumes = shows_volumes
            self._draw()

    @on(DataTable.RowHighlighted, "#merge-volumes")
    def show_selected_volume(self) -> None:
        """Show the label volume under the cursor."""
        if self._shows_volumes:
            self._draw_slices()

    # Keys

    def _selected_index(self) -> int | None:
        """Return the index of the map under the cursor; None while label volumes are shown."""
        key = self.query_one("#merge-maps", Table).row_key
        indices = (index for index, entry in enumerate(self.entries) if entry.key == key)
        return None if self._shows_volumes else next(indices, None)

    def _change(self, entries: MapEntries) -> None:
        self._entries[self._tomogram_name or ""] = entries
        self._draw()

    def action_toggle_map(self) -> None:
        index = self._selected_index()
        if index is not None:
            self._change(toggle_entry(self.entries, index))

    def action_threshold(self, by: float) -> None:
        index = self._selected_index()
        if index is not None:
            self._change(shift_threshold(self.entries, index, by))

    def action_card(self) -> None:
        index = self._selected_index()
        if index is not None:
            self._change(reset_threshold(self.entries, index))

    def action_move(self, by: int) -> None:
        index = self._selected_index()
        if index is not None:
            entries, _ = move_entry(self.entries, index, by)
            self._change(entries)

    def action_step(self, slices: int) -> None:
        self._view.step(slices)

    def action_tomogram(self) -> None:
        tomograms = self._snapshot.tomograms if self._snapshot is not None else ()
        choices = [(tomogram.name, count_summary(tomogram)) for tomogram in tomograms if tomogram.maps]
        if choices:
            self.app.push_screen(Pick("Merge the maps of", choices, chosen=self._tomogram_name), self._select_tomogram)

    def _select_tomogram(self, name: str | None) -> None:
        if name is not None and name != self._tomogram_name:
            self._open_tomogram(name)
            self._draw()
            self.focus_default()

    def action_volumes(self) -> None:
        tomogram = self.tomogram
        if tomogram is not None and not tomogram.labels and not self._shows_volumes:
            self.notify(f"{tomogram.name} has no label volume yet; enter writes one.", severity="warning")
            return
        self.query_one("#merge-maps" if self._shows_volumes else "#merge-volumes", Table).focus()

    def action_leave(self) -> None:
        self.focus_default()

    # Writing the label volume

    @property
    def _label_name(self) -> str:
        return self.query_one("#merge-name", Input).value.strip() or DEFAULT_NAME

    @property
    def _map_options(self) -> list[str]:
        """The chosen maps, as options of the command."""
        return [entry.option for entry in chosen_entries(self.entries)]

    def action_name(self) -> None:
        self.query_one("#merge-name", Input).focus()

    @on(Input.Submitted, "#merge-name")
    def check_label_name(self, event: Input.Submitted) -> None:
        """Set the name, or show what is wrong with it."""
        event.stop()
        try:
            check_name(event.value.strip(), "label volume")
        except TomosegError as fault:
            self.notify(fault.fix, title=fault.fault, severity="error")
            return
        self.focus_default()

    def _show_cost(self) -> None:
        """Update the cost if its inputs have changed; it does not depend on thresholds and order."""
        key = (self._tomogram_name, sorted(entry.key for entry in chosen_entries(self.entries)))
        if key != self._cost_key:
            self._cost_key = key
            project, prepare = self.tomoseg.project, self._preparation()
            works = list if prepare is None else lambda: [work_of(project, "merge", msgspec.to_builtins(prepare()))]
            self.query_one(CostLine).estimate(works)

    def action_measure(self) -> None:
        self.query_one(CostLine).measure()

    def action_write(self) -> None:
        """Write the label volume; ask first if one would be replaced. With the volumes shown, return to the maps."""
        tomogram, name = self.tomogram, self._label_name
        if self._shows_volumes:
            self.query_one("#merge-maps", Table).focus()
        elif tomogram is None or not self._map_options:
            self.notify("Choose at least one map with space.", severity="warning")
        elif name not in {volume.name for volume in tomogram.labels}:
            self._write(answer=True)
        else:
            text = f"{tomogram.name}/{name} exists. The new one replaces it when it is complete."
            dialog = Confirm("Replace the label volume?", text, yes="Replace")
            self.app.push_screen(dialog, lambda answer: self._write(answer=answer))

    def _write(self, *, answer: bool | None) -> None:
        argv, prepare = self.command_argv(), self._preparation()
        if answer and argv is not None and prepare is not None:
            self.tomoseg.start_job(argv, lambda: ("merge", prepare()))

    def _preparation(self) -> Callable[[], MergeRequest] | None:
        """Return a function for a thread that checks the current choice; None if no map is chosen."""
        project, tomogram, maps, name = self.tomoseg.project, self.tomogram, self._map_options, self._label_name
        if tomogram is None or not maps:
            return None
        return lambda: merge_request(project, tomogram.name, maps, name=name, output=None, force=False)

    def command_argv(self) -> list[str] | None:
        """Return the command that writes these labels."""
        if self.tomogram is None or not self._map_options:
            return None
        return to_argv(MERGE, tomogram=self.tomogram.name, map_specs=self._map_options, name=self._label_name)

    def volume_names(self) -> list[str]:
        """Return the label volumes and maps of the tomogram, the one under the cursor first."""
        tomogram, shown_volume = self.tomogram, self._volume
        if tomogram is None:
            return []
        key = self.query_one("#merge-maps", Table).row_key
        maps = sorted(tomogram.maps, key=lambda sidecar: f"{sidecar.run}:{sidecar.feature}" != key)
        volumes = sorted(
            (volume.name for volume in tomogram.labels),
            key=lambda name: shown_volume is None or name != shown_volume.name,
        )
        names = [volumes, [f"{sidecar.run}.{sidecar.feature}" for sidecar in maps]]
        return [f"{tomogram.name}/{name}" for group in (names if shown_volume else reversed(names)) for name in group]
