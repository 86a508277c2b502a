"""Slurm resources: options of the command line override those of the project."""

import pytest

from tomoseg_tui.errors import UsageError
from tomoseg_tui.project.project_settings import SlurmSettings


def test_options_override_the_settings_of_the_project() -> None:
    project = SlurmSettings(partition="cpu", time="1:00:00", extra=("--exclude=node3",))
    merged = project.with_options("partition=gpu,long,gres=gpu:a100:1,memory=16G,cpus=4,account=lab")
    assert merged.options == [
        "--partition=gpu,long",
        "--time=1:00:00",
        "--mem=16G",
        "--gres=gpu:a100:1",
        "--cpus-per-task=4",
        "--account=lab",
        "--exclude=node3",
    ]
    assert project.with_options("") == project


@pytest.mark.parametrize("text", ["gpu", "gpu,time=1", "nodes=2", "time=1,nodes=2", "Partition=x"])
def test_unknown_keys_are_refused_with_the_valid_ones(text: str) -> None:
    with pytest.raises(UsageError, match="partition, time, memory, gres, cpus, account, qos, constraint"):
        SlurmSettings().with_options(text)


@pytest.mark.parametrize("value", ["a b", "a\nb", "\t", "a\x00"])
def test_a_value_with_spaces_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="is not one word"):
        SlurmSettings().with_options(f"partition={value}")


@pytest.mark.parametrize(
    ("gres", "wants"),
    [
        ("", False),
        ("gpu", True),
        ("gpu:2", True),
        ("gres/gpu:a100:1", True),
        ("nvme:1,gpu:1", True),
        ("shard:2", False),
    ],
)
def test_a_gpu_is_recognised_among_the_devices(gres: str, *, wants: bool) -> None:
    assert SlurmSettings(gres=gres).wants_gpu is wants
