"""The form before an apply: the jobs, their settings, and the cost."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, HorizontalGroup, Vertical, VerticalScroll
from textual.widgets import Button, Checkbox, Input, Select, Static

from tomoseg_tui.commands.options import to_argv
from tomoseg_tui.commands.results import APPLY
from tomoseg_tui.errors import TomosegError, UsageError
from tomoseg_tui.jobs.estimate import work_of
from tomoseg_tui.project.records import NetworkCard, TomogramRecord
from tomoseg_tui.tui.dialogs.base import CommandDialog
from tomoseg_tui.tui.dialogs.form_fields import (
    AsciiCheckbox,
    RunLocation,
    RunLocationSelect,
    option_input,
    read_options,
)
from tomoseg_tui.tui.state.snapshot import ProjectSnapshot
from tomoseg_tui.tui.widgets.cost_line import CostLine, measure_binding
from tomoseg_tui.tui.widgets.path_input import PathInput
from tomoseg_tui.workflow.apply.apply_request import ApplyRequest
from tomoseg_tui.workflow.volume_names import parse_z_range

OUTPUT_SUFFIXES = (".mrc",)
"""Extensions of the output file of a map."""


@dataclass(frozen=True)
class ApplyPlan:
    """One network and the tomograms that are marked for it."""

    card: NetworkCard
    tomograms: Mapping[str, TomogramRecord]
    """By name."""
    mismatched: tuple[str, ...] = ()
    """Tomograms whose filters differ from those of the training."""
    replaced: tuple[str, ...] = ()
    """Tomograms that have maps already."""

    def request(self, options: Mapping[str, Any], excluded_features: Collection[str] = ()) -> ApplyRequest | None:
        """Return the request of a job; None if the network has none of the features."""
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
    """Settings and cost of an apply; answers with one request per network, and the run location."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Cancel", id="start_apply.cancel"),
        measure_binding("start_apply"),
        Binding("up", "app.focus_previous", "", show=False),
        Binding("down", "app.focus_next", "", show=False),
    ]

    def __init__(self, snapshot: ProjectSnapshot, plans: Sequence[ApplyPlan]) -> None:
        super().__init__()
        self._snapshot, self._plans = snapshot, plans
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
                yield PathInput(OUTPUT_SUFFIXES, placeholder="also write the map here; one map only", id="output")
                yield AsciiCheckbox("replace it", compact=True, id="force")
            yield CostLine(self._snapshot.project, id="apply-price")
            with Horizontal(classes="form-buttons"):
                yield Button("Start (enter)", id="start", variant="primary", compact=True)
                yield Button("Cancel (esc)", id="cancel", compact=True)

    @staticmethod
    def _fields(*keys: str) -> ComposeResult:
        """Make text fields, each with its label."""
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
                lines.append(f"  existing maps are replaced when the new ones are complete: {', '.join(plan.replaced)}")
            if plan.mismatched:
                lines.append(f"  other filters, applied anyway: {', '.join(plan.mismatched)}")
        if len(self._plans) > 1:
            lines.append(f"{len(self._plans)} jobs; each device does one at a time.")
        return lines

    def on_mount(self) -> None:
        """Focus the button, so that enter starts."""
        self.query_one("#start").focus()
        self.update_cost()

    @on(Input.Changed)
    @on(Checkbox.Changed)
    @on(Select.Changed)
    def update_cost(self) -> None:
        """Show the cost with the current settings, or an error in them."""
        project, cost_line = self._snapshot.project, self.query_one(CostLine)
        try:
            requests = [msgspec.to_builtins(request) for request in self._requests()]
        except TomosegError as fault:
            cost_line.show_fault(fault)
        else:
            cost_line.estimate(
                lambda: [work_of(project, "apply", request) for request in requests],
                in_slurm=self.query_one(RunLocationSelect).location.in_slurm,
            )

    def action_measure(self) -> None:
        """Measure the duration."""
        self.query_one(CostLine).measure()

    def commands(self) -> list[list[str]]:
        """Return the equivalent commands."""
        location = self.query_one(RunLocationSelect).location
        return [to_argv(APPLY, request, **location.options) for request in self._requests()]

    def _requests(self) -> list[ApplyRequest]:
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
            raise UsageError(f"A file cannot contain {maps} maps.", "Choose one tomogram and one feature, or no file.")
        return [request for _, request in selected]

    def _options(self) -> dict[str, Any]:
        """Return the options that all jobs share."""
        options = read_options(self, APPLY)
        return {**options, "force": options["force"] and options["output"] is not None}

    @on(Button.Pressed, "#start")
    @on(Input.Submitted)
    def start(self) -> None:
        """Answer with the requests; errors are shown already."""
        if self.query_one(CostLine).fault is not None:
            self.app.bell()
            return
        self.dismiss((self._requests(), self.query_one(RunLocationSelect).location))

    @on(Button.Pressed, "#cancel")
    def cancel(self) -> None:
        """Close without starting."""
        self.dismiss(None)
