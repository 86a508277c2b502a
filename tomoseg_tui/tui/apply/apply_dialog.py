"""Before networks are applied: what will be made, with which settings, and what it takes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, HorizontalGroup, Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Button, Checkbox, Input, Select, Static

from tomoseg_tui.commands.options import to_argv
from tomoseg_tui.commands.results import APPLY
from tomoseg_tui.errors import TomosegError, UsageError
from tomoseg_tui.project.records import NetworkCard, TomogramRecord
from tomoseg_tui.tui import cost
from tomoseg_tui.tui.apply.disk_state import ApplyDiskState
from tomoseg_tui.tui.cost import FreeResources, resource_error
from tomoseg_tui.tui.dialogs.base import CommandDialog
from tomoseg_tui.tui.dialogs.form_fields import AsciiCheckbox, RunLocationSelect, option_input, read_options
from tomoseg_tui.tui.format import format_gigabytes, format_rough_duration
from tomoseg_tui.tui.run_location import RunLocation
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot
from tomoseg_tui.tui.widgets.benchmark_runner import BenchmarkRunner, measure_binding
from tomoseg_tui.tui.widgets.path_input import PathInput
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest
from tomoseg_tui.workflow.apply_estimates import ApplyEstimate, apply_timing_key, estimate_apply
from tomoseg_tui.workflow.estimates.estimator import Estimate, combine_estimates
from tomoseg_tui.workflow.volume_names import parse_z_range

OUTPUT_SUFFIXES = (".mrc",)
"""Endings of the file that a map goes into."""


@dataclass(frozen=True)
class ApplyPlan:
    """One network and the tomograms that are marked for it."""

    card: NetworkCard
    tomograms: Mapping[str, TomogramRecord]
    """By name."""
    mismatched: tuple[str, ...] = ()
    """Those of them whose filters are not those that the network learned from."""
    replaced: tuple[str, ...] = ()
    """Those of them that have maps already."""

    def request(self, options: Mapping[str, Any], excluded_features: Collection[str] = ()) -> ApplyRequest | None:
        """Return what a job is asked; None if the network knows none of the features that are wanted."""
        features = tuple(feature for feature in self.card.features if feature not in excluded_features)
        if not features:
            return None
        return ApplyRequest(
            run=self.card.name,
            tomograms=tuple(self.tomograms),
            features=() if len(features) == len(self.card.features) else features,
            anyway=bool(self.mismatched),
            **options,
        )


class ApplyDialog(CommandDialog[tuple[list[ApplyRequest], RunLocation]]):
    """The settings of a start, and its price; answers with one request a network, and where they compute.

    Parameters
    ----------
    snapshot : ProjectSnapshot
        The project.
    plans : sequence of ApplyPlan
        What is to be applied to what.
    disk_state : ApplyDiskState
        What was read from the disk: earlier jobs and timings.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Cancel", id="start_apply.cancel"),
        measure_binding("start_apply"),
        Binding("up", "app.focus_previous", "", show=False),
        Binding("down", "app.focus_next", "", show=False),
    ]

    @dataclass
    class FreeResourcesRead(Message):
        """A thread has looked what this machine has left."""

        free: FreeResources

    def __init__(self, snapshot: ProjectSnapshot, plans: Sequence[ApplyPlan], disk_state: ApplyDiskState) -> None:
        super().__init__()
        self._snapshot, self._plans, self._disk_state = snapshot, plans, disk_state
        self._free_resources: FreeResources | None = None
        self._fault: TomosegError | None = None
        """What keeps it from being started."""
        self._features = list(dict.fromkeys(feature for plan in plans for feature in plan.card.features))

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static("Apply", classes="dialog-title")
            with VerticalScroll(id="apply-plans", can_focus=False):
                yield Static("\n".join(self._plan_lines()), markup=False)
            with HorizontalGroup(classes="form-row"):
                yield Static("features", classes="form-label")
                for number, feature in enumerate(self._features):
                    yield AsciiCheckbox(feature, value=True, compact=True, id=f"feature-{number}")
            with HorizontalGroup(classes="form-row"):
                yield from self._fields("z")
            with HorizontalGroup(classes="form-row"):
                yield from self._fields("device")
                yield Static(" where", classes="form-label")
                yield RunLocationSelect(self._snapshot)
            for keys in (("workers", "threads"), ("tta",), ("half",)):
                with HorizontalGroup(classes="form-row"):
                    yield from self._fields(*keys)
            with HorizontalGroup(classes="form-row"):
                yield Static("file", classes="form-label")
                yield PathInput(OUTPUT_SUFFIXES, placeholder="the map goes there too; one map only", id="output")
                yield AsciiCheckbox("replace it", compact=True, id="force")
            yield Static(id="apply-price", markup=False)
            yield BenchmarkRunner(self._snapshot.project)
            with Horizontal(classes="form-buttons"):
                yield Button("Start (enter)", id="start", variant="primary", compact=True)
                yield Button("Cancel (esc)", id="cancel", compact=True)

    @staticmethod
    def _fields(*keys: str) -> ComposeResult:
        """Make text fields, each after its label."""
        for number, key in enumerate(keys):
            option = APPLY.option(key)
            yield Static(f"{' ' * (number > 0)}{option.label.lower()}", classes="form-label")
            field = option_input(APPLY, key, option.default)
            field.select_on_focus = False
            yield field

    def _plan_lines(self) -> list[str]:
        lines = []
        for plan in self._plans:
            lines.append(f"{plan.card.name} on {', '.join(plan.tomograms)}")
            if plan.replaced:
                lines.append(f"  maps there are replaced when the new ones are complete: {', '.join(plan.replaced)}")
            if plan.mismatched:
                lines.append(f"  filtered in another way, applied anyway: {', '.join(plan.mismatched)}")
        if len(self._plans) > 1:
            lines.append(f"{len(self._plans)} jobs; each device does one at a time.")
        return lines

    def on_mount(self) -> None:
        """Let enter start."""
        self.query_one("#start").focus()
        self.show_cost()
        self._read_free_resources()

    @work(thread=True, group="room")
    def _read_free_resources(self) -> None:
        self.post_message(
            self.FreeResourcesRead(
                cost.free_resources(self._snapshot.project, has_running_jobs=self._snapshot.running_count > 0)
            )
        )

    @on(FreeResourcesRead)
    def show_free_resources(self, event: FreeResourcesRead) -> None:
        """Say whether it fits."""
        self._free_resources = event.free
        self.show_cost()

    @on(Input.Changed)
    @on(Checkbox.Changed)
    @on(Select.Changed)
    @on(BenchmarkRunner.StateChanged)
    def show_cost(self) -> None:
        """Say what it takes with the settings as they stand, or what is wrong with them."""
        label = self.query_one("#apply-price", Static)
        try:
            costs = [self._estimate(plan, request) for plan, request in self._requests()]
        except TomosegError as fault:
            self._fault, text = fault, f"{fault.fault} {fault.fix}"
        else:
            text = self._describe_cost(costs)
        label.update(text)
        label.set_class(self._fault is not None, "-fault")

    def _describe_cost(self, costs: Sequence[ApplyEstimate]) -> str:
        options, measurer = self._options(), self.query_one(BenchmarkRunner)
        on_cpu = options["device"] == "cpu"
        total = combine_estimates([self._job_cost(estimate, options) for estimate in costs], is_sequential=on_cpu)
        free = self._free_resources
        if free is not None and self.query_one(RunLocationSelect).location.in_slurm:
            free = FreeResources(total.memory_bytes, free.disk_bytes)  # Slurm finds a node that has it
        self._fault = None if free is None else resource_error("apply", total, free, workers=options["workers"])
        source = describe_time_source(costs, measurer.status_text(is_measured=total.is_measured).removeprefix("Time: "))
        text = format_apply_cost(total, free, source=source, on_cpu=on_cpu)
        return text if self._fault is None else f"{text}\n! {self._fault.fault} {self._fault.fix}"

    @staticmethod
    def _job_cost(estimate: ApplyEstimate, options: Mapping[str, Any]) -> Estimate:
        copies = 1 if options["output"] is None else 2
        video_bytes = estimate.gpu_bytes if estimate.is_measured else None
        return Estimate(
            estimate.seconds,
            round(estimate.memory_bytes),
            0 if options["device"] == "cpu" else video_bytes,
            copies * estimate.disk_bytes,
            is_measured=estimate.is_measured,
        )

    def _estimate(self, plan: ApplyPlan, request: ApplyRequest) -> ApplyEstimate:
        records = list(plan.tomograms.values())
        key = apply_timing_key(plan.card, records, request)
        return estimate_apply(
            plan.card,
            records,
            self._disk_state.past_jobs,
            features=len(request.features or plan.card.features),
            z=request.z,
            device=request.device,
            workers=request.workers,
            tta=request.tta,
            timing=self.query_one(BenchmarkRunner).timings.get(key) or self._disk_state.timings.get(key),
        )

    def action_measure(self) -> None:
        try:
            jobs = [("apply", msgspec.to_builtins(request)) for _, request in self._requests()]
        except TomosegError:
            self.app.bell()
            return
        self.query_one(BenchmarkRunner).measure(lambda: jobs)

    def commands(self) -> list[list[str]]:
        """Return the commands that start the same."""
        location = self.query_one(RunLocationSelect).location
        return [to_argv(APPLY, request, **location.options) for _, request in self._requests()]

    def _requests(self) -> list[tuple[ApplyPlan, ApplyRequest]]:
        options = self._options()
        for plan in self._plans:
            for record in plan.tomograms.values():
                parse_z_range(options["z"], record.shape_zyx[0])
        excluded_features = {
            feature
            for number, feature in enumerate(self._features)
            if not self.query_one(f"#feature-{number}", Checkbox).value
        }
        requests = [(plan, plan.request(options, excluded_features)) for plan in self._plans]
        selected = [(plan, request) for plan, request in requests if request is not None]
        if not selected:
            raise UsageError("No feature is chosen.", "Choose at least one with space.")
        maps = sum(len(plan.tomograms) * len(request.features or plan.card.features) for plan, request in selected)
        if options["output"] is not None and maps != 1:
            raise UsageError(f"One file cannot take {maps} maps.", "Choose one tomogram and one feature, or no file.")
        return selected

    def _options(self) -> dict[str, Any]:
        """Return what all jobs of this start have in common."""
        options = read_options(self, APPLY)
        return {**options, "force": options["force"] and options["output"] is not None}

    @on(Button.Pressed, "#start")
    @on(Input.Submitted)
    def start(self) -> None:
        """Answer with what is to be started; what is wrong is on the screen already."""
        if self._fault is not None:
            self.app.bell()
            return
        self.dismiss(([request for _, request in self._requests()], self.query_one(RunLocationSelect).location))

    @on(Button.Pressed, "#cancel")
    def cancel(self) -> None:
        """Start nothing."""
        self.dismiss(None)


def describe_time_source(estimates: Sequence[ApplyEstimate], timing_note: str) -> str:
    """Return where a time comes from; `timing_note` is what there is to say of a measurement."""
    jobs = min(estimate.from_jobs for estimate in estimates)
    source = f"as {jobs} earlier job{'s' * (jobs > 1)} took" if jobs else "a first guess"
    source = "as measured here" if all(estimate.is_measured for estimate in estimates) else source
    return f"{source}; {timing_note[0].lower()}{timing_note[1:]}" if timing_note else source


def format_apply_cost(total: Estimate, free: FreeResources | None, *, source: str, on_cpu: bool) -> str:
    """Say what jobs take together; what there is, once that is known."""
    video = f", {format_size(total.gpu_bytes)} of video memory" if total.gpu_bytes else ""
    memory, disk = ("", "") if free is None else (format_size(free.memory_bytes), format_size(free.disk_bytes))
    return "\n".join(
        [
            f"time     about {format_rough_duration(total.seconds)} on the {'CPU' if on_cpu else 'GPU'}, {source}",
            f"memory   about {format_gigabytes(total.memory_bytes)}{video}"
            + (f"; {memory} can be had" if memory else ""),
            f"disk     {format_size(total.disk_bytes)} for the maps" + (f"; {disk} are free" if disk else ""),
        ]
    )


def format_size(byte_count: float) -> str:
    """Return bytes as people say them.

    Examples
    --------
    >>> size(9_830_400), size(16.1e9)
    ('9.8 MB', '16 GB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if byte_count < 1000:
            return f"{byte_count:.1f} {unit}" if byte_count < 10 else f"{byte_count:.0f} {unit}"
        byte_count /= 1000
    return f"{byte_count:.1f} TB"
