"""Merge: the maps of a tomogram compete; thresholds are seen at once, and the labels are written as a job."""

from typing import Any, ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.events import DescendantFocus
from textual.widgets import ContentSwitcher, DataTable, Static

from tomoseg_tui.project.records import LabelSidecar, MapSidecar
from tomoseg_tui.render.overlay import Palette, make_palette
from tomoseg_tui.tui.dialogs.pick import Pick
from tomoseg_tui.tui.format import bar, when
from tomoseg_tui.tui.merge.map_selection import (
    Entries,
    chosen,
    entries_of,
    is_of,
    label_of,
    move,
    reset_threshold,
    shift_threshold,
    toggle,
)
from tomoseg_tui.tui.merge.merge_view import MergeView
from tomoseg_tui.tui.merge.result_table import result_table, volume_table, what_there_is
from tomoseg_tui.tui.merge.write_labels import LabelWriting
from tomoseg_tui.tui.shared_actions.result_actions import ResultKeys
from tomoseg_tui.tui.shared_actions.slice_bindings import slice_keys
from tomoseg_tui.tui.state.snapshot import Facts, TomogramFacts
from tomoseg_tui.tui.widgets.benchmark_runner import measure_key
from tomoseg_tui.tui.widgets.empty import Empty
from tomoseg_tui.tui.widgets.empty_texts import NO_MAPS
from tomoseg_tui.tui.widgets.table import Table


def _quiet(keys: str, action: str, words: str, name: str, tooltip: str) -> Binding:
    """Return a binding that the help and the palette tell, and the last line does not."""
    return Binding(keys, action, words, show=False, id=f"merge.{name}", tooltip=tooltip)


class ChoiceTable(Table):
    """A table that leaves enter, left and right to the tab."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Let the keys go on."""
        left_out = {"select_cursor", "cursor_left", "cursor_right"}
        return False if action in left_out else super().check_action(action, parameters)


class MergeTab(LabelWriting, ResultKeys):
    """Maps with thresholds and order, what they come to, the slice; and the label volumes there are."""

    NAME = "merge"
    TITLE = "Merge"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "write", "Write", id="merge.write", tooltip="Write the label volume, as a job"),
        Binding("space", "take", "In/out", id="merge.toggle", tooltip="Take the map in or out"),
        Binding(
            "right,plus,l", "threshold(0.01)", "Threshold", key_display="← →", id="merge.up", tooltip="Threshold + 0.01"
        ),
        _quiet("left,minus,h", "threshold(-0.01)", "Lower", "down", "Threshold - 0.01"),
        _quiet("shift+right,L", "threshold(0.1)", "Far higher", "far_up", "Threshold + 0.1"),
        _quiet("shift+left,H", "threshold(-0.1)", "Far lower", "far_down", "Threshold - 0.1"),
        _quiet("equals_sign", "card", "Card's threshold", "card", "Take the card's threshold again"),
        _quiet("K,less_than_sign", "move(-1)", "Earlier label", "earlier", "An earlier label: move the map up"),
        _quiet("J,greater_than_sign", "move(1)", "Later label", "later", "A later label: move the map down"),
        Binding("t", "tomogram", "Tomogram", id="merge.tomogram", tooltip="Choose the tomogram"),
        _quiet("n", "name", "Name", "name", "Name the label volume"),
        _quiet("v", "volumes", "Volumes", "volumes", "Look at the label volumes there are, and back"),
        _quiet("escape", "leave", "Maps", "leave", "Back to the maps"),
        measure_key("merge"),
        *slice_keys("merge"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  # Textual's word
        super().__init__(id=id)
        self._facts: Facts | None = None
        self._name: str | None = None
        self._entries: dict[str, Entries] = {}
        self._maps: tuple[MapSidecar, ...] = ()
        self._looks_at_volumes = False

    def compose(self) -> ComposeResult:
        """Make the panels, and what stands there while there is nothing."""
        with ContentSwitcher(initial="merge-no-maps"):
            yield Container(Empty(*NO_MAPS), id="merge-no-maps")
            with Horizontal(id="merge-work"):
                with Vertical(id="merge-left"):
                    with Vertical(id="merge-maps-panel", classes="panel"):
                        yield ChoiceTable("", "map", "by", "above", id="merge-maps")
                        yield from self.compose_writing()
                    with VerticalScroll(id="merge-result", classes="panel", can_focus=False):
                        yield Static(id="merge-result-words")
                    with Vertical(id="merge-volumes-panel", classes="panel") as volumes:
                        volumes.border_title = "label volumes"
                        yield ChoiceTable("name", "labels", "made", id="merge-volumes")
                yield MergeView(id="merge-view", classes="panel")

    # What is known

    @property
    def tomogram(self) -> TomogramFacts | None:
        """The tomogram whose maps compete."""
        return self._facts.tomogram(self._name) if self._facts is not None else None

    @property
    def choice(self) -> Entries:
        """Its maps, and how they compete."""
        return self._entries.get(self._name or "", ())

    def show_facts(self, facts: Facts) -> None:
        """Draw the maps of the tomogram chosen, at first of the one whose maps are newest."""
        self._facts = facts
        mapped = [tomogram for tomogram in facts.tomograms if tomogram.maps]
        self.query_one(ContentSwitcher).current = "merge-work" if mapped else "merge-no-maps"
        if mapped and self.screen.focused is None:
            self.query_one("#merge-maps", ChoiceTable).focus()
        if not mapped:
            self._name = None
            return
        if self._name not in {tomogram.name for tomogram in mapped}:
            newest = max(mapped, key=lambda tomogram: max(made.created for made in tomogram.maps))
            self._choose(newest.name)
        else:
            self._take_maps()
        self._draw()

    def take_focus(self) -> None:
        """Let the maps have the keys."""
        (self.query_one("#merge-maps", ChoiceTable) if self._name else self).focus()

    @property
    def _view(self) -> MergeView:
        return self.query_one(MergeView)

    def _choose(self, name: str) -> None:
        self._name, self._looks_at_volumes, self._maps = name, False, ()
        tomogram = self.tomogram
        if tomogram is not None:
            self._view.open_tomogram(self.tomoseg.project.layout, tomogram)
            self._take_maps()

    def _take_maps(self) -> None:
        """Take over maps that are new or were made again."""
        tomogram = self.tomogram
        if tomogram is None or self._facts is None or self._name is None or tomogram.maps == self._maps:
            return
        self._maps = tomogram.maps
        features = list(self._facts.features)
        newest = sorted(tomogram.maps, key=lambda made: made.created, reverse=True)
        ordered = sorted(
            newest, key=lambda made: features.index(made.feature) if made.feature in features else len(features)
        )
        self._entries[self._name] = entries_of(ordered, self.choice)
        self._view.forget_slices()

    # Drawing

    def _draw(self) -> None:
        tomogram = self.tomogram
        if tomogram is None:
            return
        rows = [
            (volume.name, [volume.name, ", ".join(e.feature for e in volume.labels.values()), when(volume.created)])
            for volume in tomogram.labels
        ]
        self.query_one("#merge-volumes", ChoiceTable).show_rows(rows)
        self._draw_maps()
        self._draw_slices()
        self._draw_job()
        self.ask_price()

    def _draw_slices(self) -> None:
        """Show over the slices what is looked at, and what it comes to."""
        layout, volume = self.tomoseg.project.layout, self._volume
        if volume is not None:
            self._view.show_volume(layout, volume)
        else:
            self._view.show_maps(layout, self.choice, self._maps)
        self.draw_result()

    def _draw_maps(self) -> None:
        entries = self.choice
        rows = [(entry.key, self._cells(entries, place)) for place, entry in enumerate(entries)]
        self.query_one("#merge-maps", ChoiceTable).show_rows(rows)
        panel = self.query_one("#merge-maps-panel")
        panel.border_title = f"{self._name}: {len(chosen(entries))} of {len(entries)} maps"
        panel.border_subtitle = "J K order  = card  n name  v volumes"

    def _cells(self, entries: Entries, place: int) -> list[Text | str]:
        entry, label = entries[place], label_of(entries, place)
        styles = {one.label: one for one in self._palette()}
        mark = Text(f"{label} ") if label else Text("-")
        if label in styles:
            style = styles[label]
            mark.append(style.letter, f"bold rgb({style.rgb[0]},{style.rgb[1]},{style.rgb[2]})")
        ink = "" if entry.chosen else "dim"
        threshold = Text(f"{entry.threshold:.2f}", "bold" if entry.chosen else "dim")
        threshold.append(" card" if entry.is_of_card else "", "dim")
        return [mark, Text(entry.feature, ink), Text(entry.run, ink), threshold]

    def _palette(self) -> Palette:
        return make_palette({number: entry.feature for number, entry in enumerate(chosen(self.choice), start=1)})

    @property
    def _volume(self) -> LabelSidecar | None:
        """The label volume that is looked at, None while the maps are."""
        tomogram = self.tomogram
        if tomogram is None or not self._looks_at_volumes:
            return None
        key = self.query_one("#merge-volumes", ChoiceTable).row_key
        return next((volume for volume in tomogram.labels if volume.name == key), None)

    @on(MergeView.Counted)
    def draw_result(self) -> None:
        """Show what the labels come to, in the slice that is seen and in all."""
        tomogram, volume = self.tomogram, self._volume
        if tomogram is None:
            return
        panel, words = self.query_one("#merge-result"), self.query_one("#merge-result-words", Static)
        size = tomogram.record.voxel_size_angstrom
        if volume is not None:
            panel.border_title, panel.border_subtitle = f"{volume.name}, all slices", ""
            words.update(volume_table(self._view.palette, size, volume))
            return
        written = next((one for one in tomogram.labels if is_of(one, self.choice, self._maps)), None)
        panel.border_title = f"slice {self._view.canvas.z}" + (f" and all of {written.name}" if written else "")
        panel.border_subtitle = "" if written else "enter writes and counts all"
        words.update(result_table(self._palette(), size, self._view.block, written))

    def _draw_job(self) -> None:
        """Say how far the job is that writes labels of this tomogram."""
        jobs = self._facts.jobs if self._facts is not None else ()
        panel = self.query_one("#merge-volumes-panel")
        at_it = next((job for job in jobs if self._is_mine(job) and job["state"] in {"queued", "running"}), None)
        panel.display = at_it is not None or bool(self.tomogram and self.tomogram.labels)
        panel.border_subtitle = (
            f"job {at_it['id']} {bar(at_it['progress'], 5)} {at_it['progress']:.0%}" if at_it else "E export  e score"
        )

    def _is_mine(self, job: Any) -> bool:
        return bool(job["kind"] == "merge" and str(job["name"]).startswith(f"{self._name}/"))

    @on(DescendantFocus)
    def take_side(self, event: DescendantFocus) -> None:
        """Show the maps or the label volumes, as the focus goes from one to the other."""
        side = {"merge-maps": False, "merge-volumes": True}.get(event.widget.id or "")
        if side is not None and side is not self._looks_at_volumes:
            self._looks_at_volumes = side
            self._draw()

    @on(DataTable.RowHighlighted, "#merge-volumes")
    def take_volume(self) -> None:
        """Show the label volume that the cursor has come to."""
        if self._looks_at_volumes:
            self._draw_slices()

    # Keys

    def _place(self) -> int | None:
        """Return the place of the map under the cursor; None while label volumes are looked at."""
        key = self.query_one("#merge-maps", ChoiceTable).row_key
        places = (place for place, entry in enumerate(self.choice) if entry.key == key)
        return None if self._looks_at_volumes else next(places, None)

    def _change(self, entries: Entries) -> None:
        self._entries[self._name or ""] = entries
        self._draw()

    def action_write(self) -> None:
        """Write the label volume. From the volumes it leads back to the maps."""
        if self._looks_at_volumes:
            self.query_one("#merge-maps", ChoiceTable).focus()
        else:
            self.write_labels()

    def action_take(self) -> None:
        """Take the map in or out."""
        place = self._place()
        if place is not None:
            self._change(toggle(self.choice, place))

    def action_threshold(self, by: float) -> None:
        """Move the threshold."""
        place = self._place()
        if place is not None:
            self._change(shift_threshold(self.choice, place, by))

    def action_card(self) -> None:
        """Go back to the card's threshold."""
        place = self._place()
        if place is not None:
            self._change(reset_threshold(self.choice, place))

    def action_move(self, by: int) -> None:
        """Change the order."""
        place = self._place()
        if place is not None:
            entries, _ = move(self.choice, place, by)
            self._change(entries)

    def action_step(self, slices: int) -> None:
        """Go through the slices."""
        self._view.step(slices)

    def action_tomogram(self) -> None:
        """Ask for the tomogram."""
        tomograms = self._facts.tomograms if self._facts is not None else ()
        choices = [(tomogram.name, what_there_is(tomogram)) for tomogram in tomograms if tomogram.maps]
        if choices:
            self.app.push_screen(Pick("Merge the maps of", choices, chosen=self._name), self._take_tomogram)

    def _take_tomogram(self, name: str | None) -> None:
        if name is not None and name != self._name:
            self._choose(name)
            self._draw()
            self.take_focus()

    def action_volumes(self) -> None:
        """Go to the label volumes, or back to the maps."""
        tomogram = self.tomogram
        if tomogram is not None and not tomogram.labels and not self._looks_at_volumes:
            self.notify(f"{tomogram.name} has no label volume yet; enter writes one.", severity="warning")
            return
        self.query_one("#merge-maps" if self._looks_at_volumes else "#merge-volumes", ChoiceTable).focus()

    def action_leave(self) -> None:
        """Go back to the maps."""
        self.take_focus()

    def volume_names(self) -> list[str]:
        """Return the tomogram's label volumes and maps, the one under the cursor first."""
        tomogram, here = self.tomogram, self._volume
        if tomogram is None:
            return []
        key = self.query_one("#merge-maps", ChoiceTable).row_key
        maps = sorted(tomogram.maps, key=lambda made: f"{made.run}:{made.feature}" != key)
        volumes = sorted((one.name for one in tomogram.labels), key=lambda name: here is None or name != here.name)
        names = [volumes, [f"{made.run}.{made.feature}" for made in maps]]
        return [f"{tomogram.name}/{name}" for group in (names if here else reversed(names)) for name in group]
