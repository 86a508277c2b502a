"""Before networks are applied: what will be made, with which settings, and what it takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, HorizontalGroup, Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Button, Checkbox, Input, Select, Static

from tomoseg_tui.errors import TomosegError, UsageError
from tomoseg_tui.project.records import NetworkCard, TomogramRecord
from tomoseg_tui.tui import cost
from tomoseg_tui.tui.apply.disk_state import ApplyLook
from tomoseg_tui.tui.cost import Room, all_together, refusal
from tomoseg_tui.tui.dialogs.base import CommandDialog
from tomoseg_tui.tui.format import gigabytes, roughly
from tomoseg_tui.tui.run_location import Way
from tomoseg_tui.tui.state.snapshot import Facts
from tomoseg_tui.tui.widgets.benchmark_runner import Measurer, measure_key
from tomoseg_tui.tui.widgets.path_input import PathInput
from tomoseg_tui.tui.widgets.run_location_select import Where
from tomoseg_tui.tui.widgets.tick import Tick
from tomoseg_tui.workflow.apply.apply_request import COPIES, ApplyRequest
from tomoseg_tui.workflow.apply_estimates import ApplyEstimate, apply_key, estimate_apply
from tomoseg_tui.workflow.estimates.estimator import Estimate
from tomoseg_tui.workflow.volume_names import z_range

WRITTEN = (".mrc",)
"""Endings of the file that a map goes into."""


@dataclass(frozen=True)
class ApplyPlan:
    """One network and the tomograms that are marked for it."""

    card: NetworkCard
    tomograms: Mapping[str, TomogramRecord]
    """By name."""
    anyway: tuple[str, ...] = ()
    """Those of them whose filters are not those that the network learned from."""
    replaced: tuple[str, ...] = ()
    """Those of them that have maps already."""

    def request(self, settings: "ApplySettings") -> ApplyRequest | None:
        """Return what a job is asked; None if the network knows none of the features."""
        features = tuple(feature for feature in self.card.features if feature not in settings.left_out)
        if not features:
            return None
        return ApplyRequest(
            run=self.card.name,
            tomograms=tuple(self.tomograms),
            features=() if len(features) == len(self.card.features) else features,
            z=settings.z,
            threads=settings.threads,
            device=settings.device,
            workers=settings.workers,
            output=settings.output,
            force=settings.force,
            tta=settings.tta,
            half=settings.half,
            anyway=bool(self.anyway),
        )


@dataclass(frozen=True)
class ApplySettings:
    """What all jobs of one start have in common."""

    left_out: frozenset[str] = frozenset()
    """Features that no map is made of."""
    z: str | None = None
    device: str = "cpu"
    workers: int = 1
    threads: int | None = None
    output: str | None = None
    """File that the one map is written into too, as typed."""
    force: bool = False
    """Replace that file if it is there."""
    tta: int = 1
    """Turned copies of each slice that are averaged."""
    half: bool | None = None
    """Half precision; None leaves it to the device."""


def apply_words(request: ApplyRequest) -> list[str]:
    """Return the arguments of the command that asks the same."""
    words = ["apply", request.run, *request.tomograms]
    for feature in request.features:
        words += ["--feature", feature]
    words += ["--z", request.z] if request.z is not None else []
    words += ["--device", request.device] if request.device != "cpu" else []
    words += ["--workers", str(request.workers)] if request.workers != 1 else []
    words += ["--threads", str(request.threads)] if request.threads is not None else []
    words += ["--output", request.output] if request.output is not None else []
    words += ["--force"] if request.force else []
    words += ["--tta", str(request.tta)] if request.tta != 1 else []
    words += [] if request.half is None else ["--half" if request.half else "--no-half"]
    return [*words, "--anyway"] if request.anyway else words


class StartApply(CommandDialog[tuple[list[ApplyRequest], Way]]):
    """The settings of a start, and its price; answers with one request a network, and where they compute.

    Parameters
    ----------
    facts : Facts
        The project.
    plans : sequence of ApplyPlan
        What is to be applied to what.
    look : ApplyLook
        What the disk has told: earlier jobs, and what was measured.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Cancel", id="start_apply.cancel"),
        measure_key("start_apply"),
        Binding("up", "app.focus_previous", "", show=False),
        Binding("down", "app.focus_next", "", show=False),
    ]

    class RoomRead(Message):
        """A thread has looked what this machine has left."""

        def __init__(self, room: Room) -> None:
            super().__init__()
            self.room = room

    def __init__(self, facts: Facts, plans: Sequence[ApplyPlan], look: ApplyLook) -> None:
        super().__init__()
        self._facts, self._plans, self._look = facts, plans, look
        self._room: Room | None = None
        self._fault: TomosegError | None = None
        """What keeps it from being started."""
        self._features = list(dict.fromkeys(feature for plan in plans for feature in plan.card.features))

    def compose(self) -> ComposeResult:
        """Make the form."""
        with Vertical(classes="dialog"):
            yield Static("Apply", classes="dialog-title")
            with VerticalScroll(id="apply-plans", can_focus=False):
                yield Static("\n".join(self._plan_lines()), markup=False)
            with HorizontalGroup(classes="form-row"):
                yield Static("features", classes="form-label")
                for number, feature in enumerate(self._features):
                    yield Tick(feature, value=True, compact=True, id=f"feature-{number}")
            yield from self._row("slices", "z", "", "all, or A:B without B")
            with HorizontalGroup(classes="form-row"):
                yield from self._field("device", "device", "cpu", "cpu, gpu or gpu:N")
                yield Static(" where", classes="form-label")
                yield Where(self._facts)
            with HorizontalGroup(classes="form-row"):
                yield from self._field("workers", "workers", "1", "that share the slices")
                yield from self._field(" threads", "threads", "", "all cores")
            yield from self._row(
                "copies", "copies", "1", "1, 4 or 8 turned copies are averaged, at as many times the cost"
            )
            yield from self._row("precision", "precision", "", "full on the CPU, half on GPUs; or type which")
            with HorizontalGroup(classes="form-row"):
                yield Static("file", classes="form-label")
                yield PathInput(WRITTEN, placeholder="the map goes there too; one map only", id="output")
                yield Tick("replace it", compact=True, id="force")
            yield Static(id="apply-price", markup=False)
            yield Measurer(self._facts.project)
            with Horizontal(classes="form-buttons"):
                yield Button("Start (enter)", id="start", variant="primary", compact=True)
                yield Button("Cancel (esc)", id="cancel", compact=True)

    def _row(self, label: str, name: str, value: str, hint: str) -> ComposeResult:
        with HorizontalGroup(classes="form-row"):
            yield from self._field(label, name, value, hint)

    @staticmethod
    def _field(label: str, name: str, value: str, hint: str) -> ComposeResult:
        yield Static(label, classes="form-label")
        yield Input(value, placeholder=hint, id=name, compact=True, select_on_focus=False)

    def _plan_lines(self) -> list[str]:
        lines = []
        for plan in self._plans:
            lines.append(f"{plan.card.name} on {', '.join(plan.tomograms)}")
            if plan.replaced:
                lines.append(f"  maps there are replaced when the new ones are complete: {', '.join(plan.replaced)}")
            if plan.anyway:
                lines.append(f"  filtered in another way, applied anyway: {', '.join(plan.anyway)}")
        if len(self._plans) > 1:
            lines.append(f"{len(self._plans)} jobs; each device does one at a time.")
        return lines

    def on_mount(self) -> None:
        """Let enter start."""
        self.query_one("#start").focus()
        self.show_price()
        self._read_room()

    @work(thread=True, group="room")
    def _read_room(self) -> None:
        self.post_message(self.RoomRead(cost.room_of(self._facts.project, others=self._facts.running > 0)))

    @on(RoomRead)
    def take_room(self, event: RoomRead) -> None:
        """Say whether it fits."""
        self._room = event.room
        self.show_price()

    @on(Input.Changed)
    @on(Checkbox.Changed)
    @on(Select.Changed)
    @on(Measurer.Turned)
    def show_price(self) -> None:
        """Say what it takes with the settings as they stand, or what is wrong with them."""
        price = self.query_one("#apply-price", Static)
        try:
            costs = [self._estimate(plan, request) for plan, request in self._requests()]
        except TomosegError as fault:
            self._fault, words = fault, f"{fault.fault} {fault.fix}"
        else:
            words = self._price(costs)
        price.update(words)
        price.set_class(self._fault is not None, "-fault")

    def _price(self, costs: Sequence[ApplyEstimate]) -> str:
        settings, measurer = self._settings(), self.query_one(Measurer)
        on_cpu = settings.device == "cpu"
        total = all_together([self._cost(one, settings) for one in costs], in_turn=on_cpu)
        room = self._room
        if room is not None and self.query_one(Where).way.in_slurm:
            room = Room(total.memory_bytes, room.disk_bytes)  # Slurm finds a node that has it
        self._fault = None if room is None else refusal("apply", total, room, workers=settings.workers)
        source = source_in_words(costs, measurer.words(measured=total.measured).removeprefix("Time: "))
        words = price_in_words(total, room, source=source, on_cpu=on_cpu)
        return words if self._fault is None else f"{words}\n! {self._fault.fault} {self._fault.fix}"

    @staticmethod
    def _cost(one: ApplyEstimate, settings: ApplySettings) -> Estimate:
        copies = 1 if settings.output is None else 2
        video = one.video_bytes if one.measured else None
        return Estimate(
            one.seconds,
            round(one.memory_bytes),
            0 if settings.device == "cpu" else video,
            copies * one.disk_bytes,
            measured=one.measured,
        )

    def _estimate(self, plan: ApplyPlan, request: ApplyRequest) -> ApplyEstimate:
        records = list(plan.tomograms.values())
        key = apply_key(plan.card, records, request)
        return estimate_apply(
            plan.card,
            records,
            self._look.past,
            features=len(request.features or plan.card.features),
            z=request.z,
            device=request.device,
            workers=request.workers,
            tta=request.tta,
            pace=self.query_one(Measurer).paces.get(key) or self._look.paces.get(key),
        )

    def action_measure(self) -> None:
        """Measure how long it takes."""
        try:
            asks = [("apply", msgspec.to_builtins(request)) for _, request in self._requests()]
        except TomosegError:
            self.app.bell()
            return
        self.query_one(Measurer).measure(lambda: asks)

    def commands(self) -> list[list[str]]:
        """Return the commands that start the same."""
        way = self.query_one(Where).way
        return [[*apply_words(request), *way.words] for _, request in self._requests()]

    def _requests(self) -> list[tuple[ApplyPlan, ApplyRequest]]:
        settings = self._settings()
        for plan in self._plans:
            for record in plan.tomograms.values():
                z_range(settings.z, record.shape_zyx[0])
        asked = [(plan, plan.request(settings)) for plan in self._plans]
        found = [(plan, request) for plan, request in asked if request is not None]
        if not found:
            raise UsageError("No feature is chosen.", "Choose at least one with space.")
        maps = sum(len(plan.tomograms) * len(request.features or plan.card.features) for plan, request in found)
        if settings.output is not None and maps != 1:
            raise UsageError(f"One file cannot take {maps} maps.", "Choose one tomogram and one feature, or no file.")
        return found

    def _settings(self) -> ApplySettings:
        left_out = {
            feature
            for number, feature in enumerate(self._features)
            if not self.query_one(f"#feature-{number}", Checkbox).value
        }
        threads = self._typed("threads")
        return ApplySettings(
            frozenset(left_out),
            self._typed("z") or None,
            _device(self._typed("device") or "cpu"),
            _whole(self._typed("workers") or "1", "workers"),
            _whole(threads, "threads") if threads else None,
            self._typed("output") or None,
            bool(self._typed("output")) and self.query_one("#force", Tick).value,
            _copies(self._typed("copies") or "1"),
            _is_half(self._typed("precision")),
        )

    def _typed(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    @on(Button.Pressed, "#start")
    @on(Input.Submitted)
    def start(self) -> None:
        """Answer with what is to be started; what is wrong is on the screen already."""
        if self._fault is not None:
            self.app.bell()
            return
        self.dismiss(([request for _, request in self._requests()], self.query_one(Where).way))

    @on(Button.Pressed, "#cancel")
    def cancel(self) -> None:
        """Start nothing."""
        self.dismiss(None)


def _whole(text: str, name: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise UsageError(f"{text!r} is no number of {name}.", "Take 1 or more.")
    return int(text)


def _copies(text: str) -> int:
    if text not in {str(number) for number in COPIES}:
        raise UsageError(f"{text!r} copies cannot be averaged.", "Take 1, 4 or 8.")
    return int(text)


def _is_half(text: str) -> bool | None:
    if text not in {"", "full", "half"}:
        raise UsageError(f"There is no precision called {text!r}.", "Take full or half, or leave it to the device.")
    return text == "half" if text else None


def _device(text: str) -> str:
    kind, colon, number = text.partition(":")
    if text != "cpu" and (kind != "gpu" or (colon and not number.isdecimal())):
        raise UsageError(f"There is no device called {text!r}.", "Take cpu, gpu, or gpu:N with N from 0.")
    return text


def source_in_words(costs: Sequence[ApplyEstimate], state: str) -> str:
    """Return where a time comes from; `state` is what there is to say of a measurement."""
    jobs = min(one.from_jobs for one in costs)
    source = f"as {jobs} earlier job{'s' * (jobs > 1)} took" if jobs else "a first guess"
    source = "as measured here" if all(one.measured for one in costs) else source
    return f"{source}; {state[0].lower()}{state[1:]}" if state else source


def price_in_words(total: Estimate, room: Room | None, *, source: str, on_cpu: bool) -> str:
    """Say what jobs take together; what there is, once that is known."""
    video = f", {size(total.video_bytes)} of video memory" if total.video_bytes else ""
    memory, disk = ("", "") if room is None else (size(room.memory_bytes), size(room.disk_bytes))
    return "\n".join(
        [
            f"time     about {roughly(total.seconds)} on the {'CPU' if on_cpu else 'GPU'}, {source}",
            f"memory   about {gigabytes(total.memory_bytes)}{video}" + (f"; {memory} can be had" if memory else ""),
            f"disk     {size(total.disk_bytes)} for the maps" + (f"; {disk} are free" if disk else ""),
        ]
    )


def size(number: float) -> str:
    """Return bytes as people say them.

    Examples
    --------
    >>> size(9_830_400), size(16.1e9)
    ('9.8 MB', '16 GB')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.1f} {unit}" if number < 10 else f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
