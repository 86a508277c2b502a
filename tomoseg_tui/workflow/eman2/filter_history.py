"""How EMAN2 filtered a tomogram, as far as that can be known.

All tiles of a training set must have one filter chain, so a version that `e2tomoseg_preproc.py` made
has to be recorded with it. The project's log knows the command; where the log is gone, a name in
``_preproc`` with densities as the usual filters leave them is taken for the usual filters, and that is
said. Whatever else EMAN2 can do to densities is said too, and recorded as unfiltered: no chain here fits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tomoseg_tui.core.grid import VoxelGrid
from tomoseg_tui.core.names import volume_stem
from tomoseg_tui.core.statistics import Statistics, measure_statistics, sample_bands
from tomoseg_tui.io.volume_reader import VolumeReader
from tomoseg_tui.project.records import FilterHistory, FilterStep

PROGRAM = "e2tomoseg_preproc.py"
USUAL_TAG = "preproc"
USUAL_PROCESSORS = (
    "filter.lowpass.gauss:cutoff_abs=.25",
    "filter.highpass.gauss:cutoff_pixels=5",
    "normalize",
    "threshold.clampminmax.nsigma:nsigma=3",
    "",
)
"""What the program does unless it is told otherwise."""
USUAL_STEP = FilterStep(0.25, 5.0, 3.0)
_SAMPLE_VOXELS = 2**20
"""Voxels that show whether densities look filtered."""


@dataclass(frozen=True)
class Filtering:
    """What is known of one tomogram."""

    chain: FilterHistory = ()
    """In order; empty for none, and where it cannot be said as a chain."""
    inverted: bool = False
    """True if densities were multiplied by -1 on the way."""
    remark: str = ""
    """What the user should know."""


@dataclass(frozen=True)
class _Run:
    """One run of the program, as the log has it."""

    inputs: tuple[str, ...]
    options: Mapping[str, str]

    def source_of(self, stem: str) -> str | None:
        """Return the input's file name if this run wrote the file with this stem."""
        tag = self.options.get("proctag", USUAL_TAG)
        return next((name for name in self.inputs if f"{name.split('.')[0]}_{tag}" == stem), None)

    @property
    def processors(self) -> list[str]:
        """What was done, in order."""
        return [self.options.get(f"proc{number}", usual) for number, usual in enumerate(USUAL_PROCESSORS, start=1)]


def filtering_of(volume: VolumeReader, commands: Sequence[Sequence[str]]) -> Filtering:
    """Tell how a tomogram of an EMAN2 project was filtered.

    Parameters
    ----------
    volume : VolumeReader
        The tomogram; a small part of it is read where only its name speaks.
    commands : sequence of sequence of str
        All commands of the project's log.
    """
    runs = [_parse_run(argv) for argv in commands if argv[0] == PROGRAM]
    name = volume.path.name
    from_log = _from_log(name, runs, volume.grid)
    if from_log != Filtering() or not volume_stem(name).endswith(f"_{USUAL_TAG}"):
        return from_log
    if _is_filtered(measure_statistics(volume, sample_bands(volume.grid.shape_zyx, budget=_SAMPLE_VOXELS))):
        return Filtering(
            (USUAL_STEP,), remark=f"{name} is taken to have EMAN2's usual filters: its name and densities say so."
        )
    return Filtering(
        remark=f"{name} is called filtered, but its densities are not as EMAN2's usual filters leave them, and no log "
        "says how it was made: it is recorded as unfiltered."
    )


def _parse_run(argv: Sequence[str]) -> _Run:
    """Read the words of one command: options as ``--name=value`` or ``--name value``, all else inputs."""
    inputs, options, name = [], dict[str, str](), ""
    for argument in argv[1:]:
        if name and not argument.startswith("--"):
            options[name], name = argument, ""
        elif argument.startswith("-"):
            name, equals, value = argument.lstrip("-").partition("=")
            options[name] = value
            name = "" if equals or name == "invert" else name
        else:
            inputs.append(Path(argument).name)
    return _Run(tuple(inputs), options)


def _from_log(name: str, runs: Sequence[_Run], grid: VoxelGrid) -> Filtering:
    """Follow the log back to the tomogram from which this one was made; names only get longer, so it ends."""
    stem = volume_stem(name)
    origin = next(((run, source) for run in reversed(runs) if (source := run.source_of(stem)) is not None), None)
    if origin is None:
        return Filtering()
    run, source = origin
    source_filtering = _from_log(source, runs, grid)
    inverted = source_filtering.inverted ^ ("invert" in run.options)
    step = _filter_step(run.processors, grid)
    if step is None or source_filtering.remark:
        processors_text = ", ".join(processor for processor in run.processors if processor)
        remark = source_filtering.remark or (
            f"{name} was filtered in EMAN2 by {processors_text}, which is no chain that tomoseg knows: it is recorded "
            "as "
            "unfiltered. Do not train on it together with others."
        )
        return Filtering(inverted=inverted, remark=remark)
    return Filtering((*source_filtering.chain, step) if step != FilterStep() else source_filtering.chain, inverted)


def _filter_step(processors: Sequence[str], grid: VoxelGrid) -> FilterStep | None:
    """Say what processors do as low-pass, high-pass and clamp; None if they do something else."""
    step = FilterStep()
    clamped = False
    for processor in processors:
        name, _, options = processor.partition(":")
        settings = dict(part.partition("=")[::2] for part in options.split(":") if part)
        if name in {"", "normalize"}:
            continue
        if clamped:  # what comes after the clamp would have to be clamped too
            return None
        changed = _add_processor(step, name, settings, grid)
        if changed is None:
            return None
        step, clamped = changed, name.startswith("threshold")
    return step


def _add_processor(step: FilterStep, name: str, settings: Mapping[str, str], grid: VoxelGrid) -> FilterStep | None:
    """Return the step with one more processor, None if it has one of that kind or knows none."""
    if name == "filter.lowpass.gauss" and not step.lowpass:
        cutoff = _cutoff(settings, grid)
        return _with_setting(step, lowpass=cutoff)
    if name == "filter.highpass.gauss" and not step.highpass:
        cutoff = _cutoff(settings, grid)
        return _with_setting(step, highpass=None if cutoff is None else cutoff * grid.shape_zyx[2])
    if name == "threshold.clampminmax.nsigma":
        return _with_setting(step, clamp=_positive_number(settings.get("nsigma", "2")))
    return None


def _with_setting(step: FilterStep, **change: float | None) -> FilterStep | None:
    """Return a step with one setting changed; None if the value could not be read."""
    ((name, value),) = change.items()
    if value is None:
        return None
    settings = {"lowpass": step.lowpass, "highpass": step.highpass, "clamp": step.clamp}
    return FilterStep(**{**settings, name: float(f"{value:.7g}")})


def _cutoff(settings: Mapping[str, str], grid: VoxelGrid) -> float | None:
    """Return a cut-off in cycles/voxel, given in that unit, in 1/Å, or in pixels of nx."""
    if set(settings) == {"cutoff_abs"}:
        return _positive_number(settings["cutoff_abs"])
    if set(settings) == {"cutoff_freq"}:
        frequency = _positive_number(settings["cutoff_freq"])
        return None if frequency is None else frequency * (grid.voxel_size_angstrom or 1.0)
    if set(settings) == {"cutoff_pixels"}:
        pixels = _positive_number(settings["cutoff_pixels"])
        return None if pixels is None else pixels / grid.shape_zyx[2]
    return None


def _positive_number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value < float("inf") else None


def _is_filtered(statistics: Statistics) -> bool:
    """Tell whether densities have mean 0, sigma 1, and end at three sigmas."""
    is_within = statistics.minimum > -3.5 and statistics.maximum < 3.5
    return statistics.count > 0 and abs(statistics.mean) < 0.1 and 0.8 < statistics.deviation < 1.05 and is_within
