"""The user's configuration for all projects."""

from pathlib import Path

import pytest

from tomoseg_tui.errors import SettingsError
from tomoseg_tui.project.user_config import NotificationConfig, UserConfig, config_file, read_config


def config(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_config_is_in_the_xdg_folder_or_in_the_home() -> None:
    assert config_file({"XDG_CONFIG_HOME": "/c", "HOME": "/h"}) == Path("/c/tomoseg/config.toml")
    assert config_file({"XDG_CONFIG_HOME": "", "HOME": "/h"}) == Path("/h/.config/tomoseg/config.toml")


def test_a_missing_config_counts_as_empty(tmp_path: Path) -> None:
    assert read_config(tmp_path / "absent.toml") == read_config(config(tmp_path, "")) == UserConfig()


def test_the_settings_of_jobs_are_read(tmp_path: Path) -> None:
    text = 'on_finish = ["say", "it is; done"]\nqueue_folder = "/data/queue"\n[notice]\nbell = false\nosc = "777"\n'
    read = read_config(config(tmp_path, text))
    assert read.notice == NotificationConfig(bell=False, osc="777")
    assert read.on_finish == ("say", "it is; done")
    assert read.queue_folder == Path("/data/queue")
    assert read_config(config(tmp_path, "[notice]\nosc = 9\n")).notice == NotificationConfig(osc="9")


def test_all_settings_of_the_program_are_read(tmp_path: Path) -> None:
    text = 'renderer = "ascii"\ntheme = "tomoseg-light"\nmouse = false\n[keys]\n"app.help" = "f2,h"\n'
    assert read_config(config(tmp_path, text)) == UserConfig(
        "ascii", "tomoseg-light", mouse=False, keys={"app.help": "f2,h"}
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("renderer = ", "cannot be read"),
        ("colour = 1", "there is no setting colour"),
        ("mouse = 'no'", "mouse must be of type bool, but is 'no'"),
        ("on_finish = 'mail me'", "on_finish must be of type list"),
        ("on_finish = ['mail', 3]", "on_finish is not a list of strings"),
        ("[notice]\nosc = '99'", "osc is '99'"),
        ("[notice]\nbell = 1", "bell must be of type bool"),
        ("[notice]\nring = true", "there is no setting ring"),
        ("keys = 'q'", "keys must be of type dict, but is 'q'"),
    ],
)
def test_an_invalid_config_is_refused_with_its_file_and_key(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_config(config(tmp_path, text))
    assert fault in caught.value.fault
    assert "config.toml" in caught.value.fault
    assert caught.value.fix


def test_a_config_that_is_not_text_is_refused_with_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_config(path)
