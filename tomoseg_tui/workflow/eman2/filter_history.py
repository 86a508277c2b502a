"""Find out how EMAN2 filtered a tomogram.

All tiles of a training set must have one filter history, so the history of a version from `e2tomoseg_preproc.py` must
be recorded. The log of the EMAN2 project contains the command. Without a log, a version is assumed to have the usual
filters if its name ends in `_preproc` and its densities agree with them; a remark says so. Other operations of EMAN2
cannot be recorded as a filter history here; such versions are recorded as unfiltered, with a remark.
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
"""The program's default processors."""
USUAL_STEP = FilterStep(0.25, 5.0, 3.0)
_SAMPLE_VOXELS = 2**20
"""Number of voxels to check whether densities are filtered."""


@dataclass(frozen=True)
class Filtering:
    """What is known of one tomogram."""

    chain: FilterHistory = ()
    """Filters in order; empty if there are none, or if they cannot be recorded."""
    inverted: bool = False
    """True if the densities were multiplied by -1."""
    remark: str = ""
    """Note for the user."""


@dataclass(frozen=True)
class _Run:
    """One run of the program in the log."""

    inputs: tuple[str, ...]
    options: Mapping[str, str]

    def source_of(self, stem: str) -> str | None:
        """Return the name of the input file if this run wrote the file with this stem."""
        tag = self.options.get("proctag", USUAL_TAG)
        return next((name for name in self.inputs if f"{name.split('.')[0]}_{tag}" == stem), None)

    @property
    def processors(self) -> list[str]:
        """The processors in order."""
        return [self.options.get(f"proc{number}", usual) for number, usual in enumerate(USUAL_PROCESSORS, start=1)]


def filtering_of(volume: VolumeReader, commands: Sequence[Sequence[str]]) -> Filtering:
    """Return how a tomogram of an EMAN2 project was filtered.

    Parameters
    ----------
    volume : VolumeReader
        The tomogram; a sample of it is read if only its name suggests filters.
    commands : sequence of sequence of str
        All commands in the project's log.
    """
    runs = [_parse_run(argv) for argv in commands if argv[0] == PROGRAM]
    name = volume.path.name
    from_log = _from_log(name, runs, volume.grid)
    if from_log != Filtering() or not volume_stem(name).endswith(f"_{USUAL_TAG}"):
        return from_log
    if _is_filtered(measure_statistics(volume, sample_bands(volume.grid.shape_zyx, budget=_SAMPLE_VOXELS))):
        return Filtering(
            (USUAL_STEP,), remark=f"{name} is assumed to have EMAN2's usual filters, by its name and densities."
        )
    return Filtering(
        remark=f"{name} is recorded as unfiltered: it has the name of a filtered tomogram, but its densities do not "
        "agree with EMAN2's usual filters, and no log has its command."
    )


def _parse_run(argv: Sequence[str]) -> _Run:
    """Parse one command: options as ``--name=value`` or ``--name value``, other arguments are inputs."""
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
    """Follow the log back to the original tomogram; names become shorter with each step, so the recursion ends."""
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
            f"{name} was filtered in EMAN2 by {processors_text}, which tomoseg cannot record: it is recorded as "
            "unfiltered. Do not train on it together with others."
        )
        return Filtering(inverted=inverted, remark=remark)
    return Filtering((*source_filtering.chain, step) if step != FilterStep() else source_filtering.chain, inverted)


def _filter_step(processors: Sequence[str], grid: VoxelGrid) -> FilterStep | None:
    """Return processors as one step of low-pass, high-pass and clamp; None if they do anything else."""
    step = FilterStep()
    clamped = False
    for processor in processors:
        name, _, options = processor.partition(":")
        settings = dict(part.partition("=")[::2] for part in options.split(":") if part)
        if name in {"", "normalize"}:
            continue
        if clamped:  # a step clamps last
            return None
        changed = _add_processor(step, name, settings, grid)
        if changed is None:
            return None
        step, clamped = changed, name.startswith("threshold")
    return step


def _add_processor(step: FilterStep, name: str, settings: Mapping[str, str], grid: VoxelGrid) -> FilterStep | None:
    """Return the step with one more processor; None if it already has one of this kind, or the kind is unknown."""
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
    """Return a step with one setting changed; None if the value is None."""
    ((name, value),) = change.items()
    if value is None:
        return None
    settings = {"lowpass": step.lowpass, "highpass": step.highpass, "clamp": step.clamp}
    return FilterStep(**{**settings, name: float(f"{value:.7g}")})


def _cutoff(settings: Mapping[str, str], grid: VoxelGrid) -> float | None:
    """Return a cut-off in cycles/voxel; the setting is in cycles/voxel, 1/Å or pixels of nx."""
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
    """Return whether densities have mean 0 and sigma 1, and end at three sigmas."""
    is_within = statistics.minimum > -3.5 and statistics.maximum < 3.5
    return statistics.count > 0 and abs(statistics.mean) < 0.1 and 0.8 < statistics.deviation < 1.05 and is_within
