"""A disk that fills up during a job or command: a clear state, intact existing files, and a way to continue."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from helpers.cli_runner import digest_of
from helpers.full_disk import LimitedFiles, SmallDisk, Tmpfs
from helpers.job_project import hooked
from helpers.reference_results import NETWORK_HOOK, content_of

from tomoseg_tui.project.layout import ProjectLayout

pytestmark = pytest.mark.slow

ROOM_HOOK = """
import tomoseg_tui.workflow.estimates.estimator
tomoseg_tui.workflow.estimates.estimator.require_resources = lambda *_what, **_there: None
"""
"""Skips the check of free space before a job starts, so that the disk fills up during the job."""
DISK = 40_000_000
"""Bytes of the small disk."""
MERGE = ("merge", "tubes", "--map", "net:tube=0.5", "--map", "net:wall=0.4")


@pytest.fixture
def any_disk(small_template: Path, tmp_path: Path) -> Iterator[SmallDisk]:
    """The most realistic small disk available here, with the project on it."""
    if not Tmpfs.is_possible():
        (tmp_path / "disk").mkdir()
        disk: SmallDisk = LimitedFiles(tmp_path / "disk")
    else:
        disk = _tmpfs(tmp_path)
    with disk:
        disk.bring(small_template.parent)
        yield disk


@pytest.fixture(params=["a small file system", "files that may not grow"])
def each_disk(request: pytest.FixtureRequest, small_template: Path, tmp_path: Path) -> Iterator[SmallDisk]:
    """Both kinds of small disk in turn; limited files are available everywhere."""
    if request.param == "files that may not grow":
        (tmp_path / "disk").mkdir()
        disk: SmallDisk = LimitedFiles(tmp_path / "disk")
    elif Tmpfs.is_possible():
        disk = _tmpfs(tmp_path)
    else:
        pytest.skip("mounting is not permitted here: a full disk was NOT tested, only files with a size limit")
    with disk:
        disk.bring(small_template.parent)
        yield disk


def _tmpfs(tmp_path: Path) -> Tmpfs:
    (tmp_path / "disk").mkdir()
    return Tmpfs(tmp_path / "disk", DISK)


@pytest.fixture(autouse=True)
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Environment of all processes: it registers the small network, and free space is not checked before a job."""
    names = hooked(tmp_path / "hooks", NETWORK_HOOK, ROOM_HOOK)
    for name, value in names.items():
        monkeypatch.setenv(name, value)
    return names


def layout_of(disk: SmallDisk) -> ProjectLayout:
    """Return the layout of the project, as seen from this process."""
    return ProjectLayout(disk.seen() / "project")


def assert_full(disk: SmallDisk, job: str, output: str) -> None:
    """Check that a job reports the full disk and what to do."""
    listing = disk.run("jobs", "show", job, "--json").json
    assert listing["state"] == "failed"
    assert listing["fault"].startswith("Disk full: ")
    assert listing["fix"].startswith("Free ")
    assert listing["fix"].endswith(f"there, then resume the job: tomoseg jobs resume {job}")
    assert "job " + job + " is failed. Disk full: " in output


def test_a_training_resumes_to_the_same_network(any_disk: SmallDisk, env: dict[str, str], small_template: Path) -> None:
    any_disk.run("trainset", "build", "set", "--feature", "tube", "--feature", "wall")
    arguments = ("train", "--trainset", "set", "--network", "small", "--batch", 2, "--epochs", 4, "--seed", 3)
    failed = any_disk.run(*arguments, "--name", "run", "--wait", left=60_000, env=env)
    assert failed.code == 2
    assert_full(any_disk, "3", failed.err)
    done = any_disk.run("jobs", "resume", "3", "--wait", env=env)
    assert done.code == 0, done.err
    ours, theirs = layout_of(any_disk).network_folder("run"), small_template / "networks" / "net"
    assert content_of(ours)["best.weights.h5"] == content_of(theirs)["best.weights.h5"]
    assert sorted(content_of(ours)) == ["best.weights.h5", "card.json", "job.txt", "triples.h5"]
    found, whole = (
        content_of(folder) for folder in (layout_of(any_disk).job_folder("3"), small_template / "jobs" / "1")
    )
    assert found["metrics.jsonl"] == whole["metrics.jsonl"]


def test_an_audit_reports_the_missing_space_and_resumes(any_disk: SmallDisk, env: dict[str, str]) -> None:
    arguments = ("audit", "--feature", "tube", "--network", "small", "--epochs", 2, "--seed", 3, "--name", "found")
    failed = any_disk.run(*arguments, "--wait", left=400_000, env=env)
    assert failed.code == 2
    assert_full(any_disk, "3", failed.err)
    if isinstance(any_disk, Tmpfs):
        assert "Free about " in failed.err, "the missing space is known"
    done = any_disk.run("jobs", "resume", "3", "--wait", env=env)
    assert done.code == 0, done.err
    assert layout_of(any_disk).audit_report("found").is_file()


def test_existing_maps_stay_intact_and_the_job_resumes(
    any_disk: SmallDisk, env: dict[str, str], small_template: Path
) -> None:
    maps = layout_of(any_disk).maps / "tubes"
    before = digest_of(maps)
    failed = any_disk.run("apply", "net", "tubes", "--wait", left=400_000, env=env)
    assert failed.code == 2
    assert_full(any_disk, "3", failed.err)
    assert digest_of(maps) == before
    done = any_disk.run("jobs", "resume", "3", "--wait", env=env)
    assert done.code == 0, done.err
    assert content_of(maps) == content_of(small_template / "maps" / "tubes")


def test_existing_labels_stay_intact_and_the_job_resumes(each_disk: SmallDisk) -> None:
    labels = layout_of(each_disk).label_file("tubes", "merged")
    each_disk.run(*MERGE, "--wait")
    whole = labels.read_bytes()
    failed = each_disk.run(*MERGE, "--wait", left=300_000)
    assert failed.code == 2
    assert_full(each_disk, "4", failed.err)
    assert labels.read_bytes() == whole
    if isinstance(each_disk, Tmpfs):
        assert "Free about " in failed.err, "the missing space is known"
    labels.unlink()
    assert each_disk.run("jobs", "resume", "4", "--wait").code == 0
    assert labels.read_bytes() == whole


def test_a_preprocessing_resumes(each_disk: SmallDisk) -> None:
    failed = each_disk.run("preprocess", "tubes", "--wait", left=1_000_000)
    assert failed.code == 2
    assert_full(each_disk, "3", failed.err)
    tomograms = layout_of(each_disk).tomograms
    assert [folder.name for folder in tomograms.iterdir()] == ["tubes"]
    assert each_disk.run("jobs", "resume", "3", "--wait").code == 0
    found = content_of(tomograms / "tubes__preproc")
    shutil.rmtree(tomograms / "tubes__preproc")
    assert each_disk.run("preprocess", "tubes", "--wait").code == 0
    assert content_of(tomograms / "tubes__preproc") == found


@pytest.mark.parametrize("options", [(), ("--invert",)])
def test_a_failed_import_leaves_nothing_and_reports_the_missing_space(
    each_disk: SmallDisk, options: tuple[str, ...]
) -> None:
    before = digest_of(layout_of(each_disk).root)
    failed = each_disk.run("import", "../tubes.mrc", "--name", "other", *options, left=1_000_000)
    assert failed.code == 2
    assert "Disk full: " in failed.err
    if isinstance(each_disk, Tmpfs):
        assert "Free about 1.5 MB there, then import again" in failed.err
    assert digest_of(layout_of(each_disk).root) == before
    assert each_disk.run("import", "../tubes.mrc", "--name", "other", *options).code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("features", "add", "ribosome"),
        ("tiles", "add", "tubes", "--at", "60,60,5", "--feature", "tube"),
        ("annotations", "import", "../truth.mrc", "--tomogram", "tubes", "--map", "1=tube", "--replace"),
        ("trainset", "build", "set", "--feature", "tube"),
        MERGE,
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_command_without_disk_space_changes_nothing(each_disk: SmallDisk, arguments: tuple[str, ...]) -> None:
    before = digest_of(layout_of(each_disk).root)
    failed = each_disk.run(*arguments, left=0)
    assert failed.code == 2
    assert "Disk full: " in failed.err
    assert str(each_disk.folder) in failed.err, "the error names the path"
    assert digest_of(layout_of(each_disk).root) == before
    done = each_disk.run(*arguments)
    assert done.code == 0, done.err


@pytest.mark.skipif(
    not Tmpfs.is_possible(),
    reason="mounting is not permitted here: files have a size limit, but the disk has free space",
)
def test_a_job_reports_its_error_with_space_for_the_record_only(any_disk: SmallDisk) -> None:
    block = os.statvfs(any_disk.seen()).f_frsize
    for job, blocks in enumerate(range(4, 8), start=3):  # one block holds the mark of the writing process
        failed = any_disk.run(*MERGE, "--wait", left=blocks * block)
        assert failed.code == 2
        assert_full(any_disk, str(job), failed.err)
        record = msgspec.json.decode((layout_of(any_disk).job_folder(str(job)) / "record.json").read_bytes())
        assert record["exit_code"] == 2
