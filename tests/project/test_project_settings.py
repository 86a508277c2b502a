"""project.toml is read and written; errors name the key."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoseg_tui.errors import NotAProjectError, ProjectError, SettingsError
from tomoseg_tui.project.catalog import Project
from tomoseg_tui.project.project_settings import FORMAT, ProjectSettings, SlurmSettings, read_settings, write_settings

names = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")


texts = st.text("abcGPU019:,=%\"'$_-", max_size=20)
options = st.lists(st.text("abc-=:,9", max_size=9).map("--x{}".format), max_size=3).map(tuple)
slurms = st.builds(SlurmSettings, partition=texts, time=texts, memory=texts, extra=options)


@given(
    features=st.lists(names, unique=True, max_size=5), seed=st.integers(0, 2**31), slurm=slurms, always=st.booleans()
)
def test_settings_survive_toml(
    tmp_path_factory: pytest.TempPathFactory, features: list[str], seed: int, slurm: SlurmSettings, *, always: bool
) -> None:
    path = tmp_path_factory.mktemp("toml") / "project.toml"
    settings = ProjectSettings(FORMAT, tuple(features), seed, slurm, always)
    write_settings(path, settings)
    assert read_settings(path) == settings


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", "format"),
        ("format = 'one'", "format"),
        ("format = true", "format"),
        ("format = 1\nfeatures = 'tube'", "features"),
        ("format = 1\nfeatures = [1]", "features"),
        ("format = 1\nsettings = 3", "settings"),
        ("format = 1\n[settings]\nseed = 'x'", "settings.seed"),
        ("format = 1\nslurm = 'gpu'", "slurm"),
        ("format = 1\n[slurm]\ncpus = 4", "slurm.cpus"),
        ("format = 1\n[slurm]\nextra = '--qos=x'", "slurm.extra"),
        ("format = 1\n[slurm]\nextra = [1]", "slurm.extra"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_by_its_key(tmp_path: Path, text: str, key: str) -> None:
    path = tmp_path / "project.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        read_settings(path)
    assert f"{path}: {key} must be of type" in caught.value.fault
    assert f"Correct {key}" in caught.value.fix


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("nodes = '2'", "there is no key slurm.nodes"),
        ("partition = 'a b'", "is not one word"),
        ("always = 1", "neither true nor false"),
        ("extra = ['-n2']", "is not an option"),
        ("extra = ['--qos long']", "is not an option"),
        ("extra = ['--output=/tmp/x']", "is set by every job itself"),
        ("extra = ['--outpu=/tmp/x']", "stands for --output"),
        ("extra = ['--wra=true']", "stands for --wrap"),
        ("extra = ['--export-fi=/tmp/x']", "stands for --export-file"),
        ("extra = ['--sig=9']", "stands for --signal"),
        ("extra = ['--test-only']", "stands for --test-only"),
    ],
)
def test_invalid_slurm_options_are_refused(tmp_path: Path, table: str, message: str) -> None:
    path = tmp_path / "project.toml"
    path.write_text(f"format = 1\n[slurm]\n{table}\n")
    with pytest.raises(SettingsError, match=message):
        read_settings(path)


def test_invalid_toml_and_a_missing_file_are_different_errors(tmp_path: Path) -> None:
    path = tmp_path / "project.toml"
    with pytest.raises(NotAProjectError, match="is not a tomoseg project"):
        read_settings(path)
    path.write_text("format = ")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_settings(path)


def test_a_newer_format_can_be_read_but_not_changed(project: Project) -> None:
    text = project.layout.settings.read_text()
    project.layout.settings.write_text(text.replace("format = 1", f"format = {FORMAT + 1}") + "\n[new]\nthing = 1\n")
    newer = Project.open(project.layout.root)
    assert newer.settings.is_newer
    with pytest.raises(ProjectError, match="of a newer tomoseg"):
        newer.require_current_format()
