"""Before networks are applied: what will be made, with which settings, and what it takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, HorizontalGroup, Vertical, VerticalScroll
from textual.widgets import Button, Checkbox, Input, Static

from tomoseg_tui.errors import TomosegError, UsageError
from tomoseg_tui.project.paces import Pace
from tomoseg_tui.project.records import NetworkCard, TomogramRecord
from tomoseg_tui.tui.screens.dialog import Dialog
from tomoseg_tui.tui.widgets.path_input import PathInput
from tomoseg_tui.tui.widgets.tick import Tick
from tomoseg_tui.tui.wording.words import gigabytes, roughly
from tomoseg_tui.workflow.apply_estimates import ApplyEstimate, PastApply, apply_key, estimate_apply
from tomoseg_tui.workflow.applying import COPIES, ApplyRequest
from tomoseg_tui.workflow.volumes import z_range

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


class StartApply(Dialog[list[ApplyRequest]]):
    """The settings of a start, and its price; answers with one request a network."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss", "Cancel", id="start_apply.cancel"),
        Binding("up", "app.focus_previous", "", show=False),
        Binding("down", "app.focus_next", "", show=False),
    ]

    def __init__(
        self,
        plans: Sequence[ApplyPlan],
        past: Sequence[PastApply],
        free_bytes: int,
        paces: Mapping[str, Pace] | None = None,
    ) -> None:
        super().__init__()
        self._plans, self._past, self._free_bytes = plans, past, free_bytes
        self._paces = paces or {}
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
            yield from self._row("device", "device", "cpu", "cpu, gpu or gpu:N")
            yield from self._row("workers", "workers", "1", "processes that share the slices")
            yield from self._row("threads", "threads", "", "all cores")
            yield from self._row(
                "copies", "copies", "1", "1, 4 or 8 turned copies are averaged, at as many times the cost"
            )
            yield from self._row("precision", "precision", "", "full on the CPU, half on GPUs; or type which")
            with HorizontalGroup(classes="form-row"):
                yield Static("file", classes="form-label")
                yield PathInput(WRITTEN, placeholder="the map goes there too; one map only", id="output")
                yield Tick("replace it", compact=True, id="force")
            yield Static(id="apply-price", markup=False)
            with Horizontal(classes="form-buttons"):
                yield Button("Start (enter)", id="start", variant="primary", compact=True)
                yield Button("Cancel (esc)", id="cancel", compact=True)

    def _row(self, label: str, name: str, value: str, hint: str) -> ComposeResult:
        with HorizontalGroup(classes="form-row"):
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

    @on(Input.Changed)
    @on(Checkbox.Changed)
    def show_price(self) -> None:
        """Say what it takes with the settings as they stand, or what is wrong with them."""
        price = self.query_one("#apply-price", Static)
        try:
            requests = self._requests()
            estimates = [self._estimate(plan, request) for plan, request in requests]
        except TomosegError as fault:
            price.update(f"{fault.fault} {fault.fix}")
            price.add_class("-fault")
            return
        price.remove_class("-fault")
        price.update(price_in_words(estimates, self._free_bytes, on_cpu=self._settings().device == "cpu"))

    def _estimate(self, plan: ApplyPlan, request: ApplyRequest) -> ApplyEstimate:
        records = list(plan.tomograms.values())
        return estimate_apply(
            plan.card,
            records,
            self._past,
            features=len(request.features or plan.card.features),
            z=request.z,
            device=request.device,
            workers=request.workers,
            tta=request.tta,
            pace=self._paces.get(apply_key(plan.card, records, request)),
        )

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
        try:
            self.dismiss([request for _, request in self._requests()])
        except TomosegError:
            self.app.bell()

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


def price_in_words(estimates: Sequence[ApplyEstimate], free_bytes: int, *, on_cpu: bool) -> str:
    """Say what jobs that run at the same time will take."""
    seconds = sum(one.seconds for one in estimates) if on_cpu else max(one.seconds for one in estimates)
    disk = sum(one.disk_bytes for one in estimates)
    jobs = min(one.from_jobs for one in estimates)
    source = f"as {jobs} earlier job{'s' * (jobs > 1)} took" if jobs else "a first guess"
    source = "as measured here" if all(one.measured for one in estimates) else source
    lines = [
        f"time     about {roughly(seconds)} on the {'CPU' if on_cpu else 'GPU'}, {source}",
        f"memory   about {gigabytes(sum(one.memory_bytes for one in estimates))}",
        f"disk     {size(disk)} for the maps; {size(free_bytes)} are free",
    ]
    return "\n".join(lines) + ("\nThe maps do not fit on the disk: make room first." if disk > free_bytes else "")


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
