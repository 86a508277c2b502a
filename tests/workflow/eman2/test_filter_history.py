"""The filter history of a tomogram from EMAN2, by the log, or by its name and densities."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from helpers.eman2_project import EmanFolder, smooth_noise

from tomoseg_tui.io.formats import open_volume
from tomoseg_tui.project.records import FilterStep
from tomoseg_tui.workflow.eman2.filter_history import PROGRAM, USUAL_STEP, Filtering, filtering_of


def filter_history(folder: Path, name: str, *commands: str, values: object = None) -> Filtering:
    densities = smooth_noise() if values is None else np.asarray(values)
    path = EmanFolder(folder).tomogram(name, densities)
    with open_volume(path) as volume:
        return filtering_of(volume, [line.split() for line in commands])


@pytest.mark.parametrize(
    ("options", "chain"),
    [
        ((), (USUAL_STEP,)),
        (("--proc1=filter.lowpass.gauss:cutoff_freq=0.02",), (FilterStep(0.2, 5, 3),)),
        (("--proc1", "filter.lowpass.gauss:cutoff_pixels=22"), (FilterStep(0.2, 5, 3),)),
        (("--proc2=", "--proc4=threshold.clampminmax.nsigma"), (FilterStep(0.25, 0, 2),)),
        (("--proc1=normalize", "--proc2=normalize", "--proc4=normalize"), ()),
    ],
)
def test_the_filter_history_is_read_from_the_log(
    tmp_path: Path, options: Sequence[str], chain: tuple[FilterStep, ...]
) -> None:
    filtering = filter_history(
        tmp_path, "t_seg.hdf", f"{PROGRAM} tomograms/t.hdf --proctag seg {' '.join(options)} --ppid=-2"
    )
    assert filtering == Filtering(chain)


@pytest.mark.parametrize(
    "option", ["--proc5=mask.sharp", "--proc2=filter.median", "--proc5=filter.lowpass.gauss:cutoff_abs=.1"]
)
def test_filters_that_cannot_be_recorded_give_a_remark(tmp_path: Path, option: str) -> None:
    filtering = filter_history(tmp_path, "t_preproc.hdf", f"{PROGRAM} tomograms/t.hdf {option}")
    assert filtering.chain == ()
    assert "which tomoseg cannot record" in filtering.remark


def test_the_log_is_followed_through_versions_and_inversions_counted(tmp_path: Path) -> None:
    lines = [f"{PROGRAM} t.hdf --invert --proctag a", f"{PROGRAM} tomograms/t_a.hdf --proctag b --proc1= --proc2="]
    assert filter_history(tmp_path, "t_a_b.hdf", *lines) == Filtering((USUAL_STEP, FilterStep(0, 0, 3)), inverted=True)
    assert filter_history(tmp_path, "t_a_b.hdf", *lines, lines[1] + " --invert").inverted is False
    assert filter_history(tmp_path, "t.hdf", *lines) == Filtering()


def test_without_a_log_name_and_densities_together_indicate_the_usual_filters(tmp_path: Path) -> None:
    clamped = np.clip(smooth_noise(), -3, 3)
    filtering = filter_history(tmp_path, "t__bin4_preproc.hdf", values=clamped)
    assert filtering.chain == (USUAL_STEP,)
    assert "assumed to have EMAN2's usual filters" in filtering.remark
    raw = filter_history(tmp_path, "u_preproc.hdf", values=clamped * 40 + 7)
    assert raw.chain == ()
    assert "recorded as unfiltered" in raw.remark
    assert filter_history(tmp_path, "v.hdf", values=clamped) == Filtering()
