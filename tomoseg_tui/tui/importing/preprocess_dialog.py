"""Filter and bin tomograms: the settings, and the central slice before and after."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input, Static

from tomoseg_tui.commands.options import to_argv
from tomoseg_tui.commands.tomograms import PREPROCESS
from tomoseg_tui.core.names import check_name
from tomoseg_tui.errors import TomosegError, UsageError
from tomoseg_tui.jobs.estimate import work_of
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.history import format_command
from tomoseg_tui.render.greys import to_grey, window_from_sample
from tomoseg_tui.render.renderer import Picture
from tomoseg_tui.tui.canvas.still_canvas import StillCanvas
from tomoseg_tui.tui.dialogs.base import Dialog
from tomoseg_tui.tui.dialogs.form_fields import option_input, read_options
from tomoseg_tui.tui.state.snapshot import TomogramSnapshot
from tomoseg_tui.tui.widgets.cost_line import CostLine, measure_binding
from tomoseg_tui.tui.widgets.key_footer import KeyFooter
from tomoseg_tui.workflow.tomograms.preprocessing import PreprocessRequest
from tomoseg_tui.workflow.tomograms.preview import FilterPreview, preview_filters

PREVIEW_DELAY_SECONDS = 0.3
"""Pause after typing before the preview is computed, s."""
_FIELDS = ("lowpass", "highpass", "clamp", "factor", "tag")


class PreprocessDialog(Dialog[PreprocessRequest]):
    """Settings of `preprocess`; the answer is the request of the job.

    Parameters
    ----------
    tomograms : sequence of TomogramSnapshot
        What to filter; the preview shows the first.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Cancel", id="filters.cancel"),
        Binding("ctrl+s", "start", "Start", id="filters.start", tooltip="Filter as a job"),
        Binding("ctrl+f", "only_bin", "Filters on/off", id="filters.off", tooltip="Filter, or bin only"),
        Binding("ctrl+y", "copy", "Copy command", id="filters.copy", tooltip="Copy the equivalent command"),
        measure_binding("filters"),
        Binding("down", "app.focus_next", "", show=False),
        Binding("up", "app.focus_previous", "", show=False),
    ]

    @dataclass
    class PreviewReady(Message):
        """A preview is ready, or cannot be computed."""

        generation: int
        view: FilterPreview | None
        message: str

    def __init__(self, project: Project, tomograms: Sequence[TomogramSnapshot]) -> None:
        super().__init__()
        self._project, self._tomograms = project, tomograms
        self._filtered, self._generation = True, 0
        self._preview_timer: Timer | None = None

    def compose(self) -> ComposeResult:
        with Vertical(id="filters-box") as box:
            box.border_subtitle = "F1 keys"
            with Horizontal(id="filters-fields"):
                for key in _FIELDS:
                    with Vertical(classes="filters-field"):
                        option = PREPROCESS.option(key)
                        yield Static(option.label.lower(), classes="filters-name")
                        yield option_input(PREPROCESS, key, option.default)
            yield Static(id="filters-said", markup=False)
            yield CostLine(self._project, id="filters-price")
            with Horizontal(id="filters-pictures"):
                for name in ("before", "after"):
                    with Vertical(classes="panel", id=f"filters-{name}-panel") as panel:
                        panel.border_title = name
                        yield StillCanvas(id=f"filters-{name}")
        yield KeyFooter()

    def on_mount(self) -> None:
        self.query_one("#lowpass", Input).focus()
        self._refresh()

    # Settings

    def request(self) -> PreprocessRequest:
        """Return the request.

        Raises
        ------
        TomosegError
            If a field cannot be read.
        """
        tomograms = tuple(tomogram.name for tomogram in self._tomograms)
        values = read_options(self, PREPROCESS)
        if not self._filtered:
            if values["factor"] == 1:
                raise UsageError("No operation was chosen.", "Bin by 2 or more, or switch the filters on with ctrl+f.")
            return PreprocessRequest(tomograms, factor=values["factor"], filtered=False)
        check_name(values["tag"], "tag")
        return PreprocessRequest(tomograms, **values)

    @on(Input.Changed)
    def _refresh(self) -> None:
        """Describe the output, and compute the preview after a pause."""
        try:
            request = self.request()
        except TomosegError as fault:
            self._show_message(f"{fault.fault} {fault.fix}")
            self.query_one(CostLine).estimate(list)
            return
        project, job_request = self._project, msgspec.to_builtins(request)
        self.query_one(CostLine).estimate(lambda: [work_of(project, "preprocess", job_request)])
        self.query_one("#filters-box").border_title = self._title(request)
        self._show_message(self._describe_filters(request))
        self._generation += 1
        if self._preview_timer is not None:
            self._preview_timer.stop()
        self._preview_timer = self.set_timer(PREVIEW_DELAY_SECONDS, lambda: self._preview(self._generation, request))

    def _title(self, request: PreprocessRequest) -> str:
        output_names = ", ".join(request.target(name) for name in request.tomograms)
        return f"Filter {', '.join(request.tomograms)} into {output_names}"

    def _describe_filters(self, request: PreprocessRequest) -> str:
        if not request.filtered:
            return "Binning only: densities keep their units."
        record = self._tomograms[0].record
        voxel_size, nx = record.voxel_size_angstrom * request.factor, record.shape_zyx[2] // request.factor
        lengths = request.chain.describe(voxel_size, nx)
        low, high = lengths["lowpass_angstrom"], lengths["highpass_angstrom"]
        finer = f"details finer than {low:.0f} Å are attenuated" if low else "no low-pass"
        coarser = f"variations coarser than {high:.0f} Å are removed" if high else "no high-pass"
        units = "Units: cycles/voxel, pixels of x, sigmas. 0 switches a filter off."
        return f"{finer}, {coarser}; then mean 0, sigma 1.\n{units}"

    def _show_message(self, text: str) -> None:
        self.query_one("#filters-said", Static).update(text)

    # Preview

    @work(thread=True, exclusive=True, group="preview")
    def _preview(self, generation: int, request: PreprocessRequest) -> None:
        try:
            view = preview_filters(self._project, self._tomograms[0].name, request)
        except TomosegError as fault:
            self.post_message(self.PreviewReady(generation, None, f"{fault.fault} {fault.fix}"))
        else:
            self.post_message(self.PreviewReady(generation, view, ""))

    @on(PreviewReady)
    def show_preview(self, event: PreviewReady) -> None:
        """Show the slice before and after, unless the settings have changed since."""
        if event.generation != self._generation:
            return
        if event.view is None:
            self._show_message(event.message)
            return
        self.query_one("#filters-before", StillCanvas).show(_picture(event.view.before))
        self.query_one("#filters-after", StillCanvas).show(_picture(event.view.after))

    # Closing

    def action_only_bin(self) -> None:
        self._filtered = not self._filtered
        for name in ("lowpass", "highpass", "clamp", "tag"):
            self.query_one(f"#{name}", Input).disabled = not self._filtered
        if self.focused is None:
            self.query_one("#factor", Input).focus()
        self._refresh()

    @on(Input.Submitted)
    def action_start(self) -> None:
        """Answer, or show an error; other errors are shown already."""
        try:
            request = self.request()
        except TomosegError as fault:
            self._show_message(f"{fault.fault} {fault.fix}")
            return
        if self.query_one(CostLine).fault is not None:
            self.app.bell()
            return
        self.dismiss(request)

    def action_measure(self) -> None:
        self.query_one(CostLine).measure()

    def action_copy(self) -> None:
        try:
            line = format_command(to_argv(PREPROCESS, self.request()))
        except TomosegError as fault:
            self._show_message(f"{fault.fault} {fault.fix}")
            return
        self.app.copy_to_clipboard(line)
        self.notify(line, title="Copied")


def _picture(values: NDArray[np.float32]) -> Picture:
    return Picture(to_grey(values, window_from_sample(values)))
