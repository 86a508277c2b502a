"""What the user has settled, and where each project was left."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoseg_tui.errors import SettingsError
from tomoseg_tui.tui.config import (
    MOST_SESSIONS,
    Config,
    Session,
    config_file,
    log_file,
    read_config,
    read_session,
    sessions_file,
    write_session,
)


def config(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_files_lie_where_xdg_says() -> None:
    said = {"XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s", "HOME": "/h"}
    assert config_file(said) == Path("/c/tomoseg/config.toml")
    assert sessions_file(said) == Path("/s/tomoseg/sessions.json")
    assert log_file(said) == Path("/s/tomoseg/tui.log")


def test_files_lie_in_the_home_where_xdg_says_nothing() -> None:
    said = {"HOME": "/h", "XDG_CONFIG_HOME": ""}
    assert config_file(said) == Path("/h/.config/tomoseg/config.toml")
    assert sessions_file(said) == Path("/h/.local/state/tomoseg/sessions.json")


def test_no_config_is_as_good_as_an_empty_one(tmp_path: Path) -> None:
    assert read_config(tmp_path / "absent.toml") == read_config(config(tmp_path, "")) == Config()


def test_a_config_is_read_whole(tmp_path: Path) -> None:
    text = 'renderer = "ascii"\ntheme = "tomoseg-light"\nmouse = false\n[keys]\n"app.help" = "f2,h"\n'
    assert read_config(config(tmp_path, text)) == Config(
        "ascii", "tomoseg-light", mouse=False, keys={"app.help": "f2,h"}
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("renderer = ", "cannot be read"),
        ("colour = 1", "there is no setting colour"),
        ("mouse = 'no'", "mouse should be a bool, but is 'no'"),
        ("keys = 'q'", "keys should be a dict, but is 'q'"),
    ],
)
def test_a_faulty_config_is_refused_by_its_file_and_key(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_config(config(tmp_path, text))
    assert fault in caught.value.fault
    assert "config.toml" in caught.value.fault
    assert caught.value.fix


def test_a_config_that_is_no_text_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_config(path)


sessions = st.builds(
    Session,
    st.sampled_from(["import", "tiles", "jobs"]),
    st.none() | st.text(max_size=8),
    st.none() | st.integers(0, 4000),
    st.none() | st.floats(0.01, 64),
    st.none() | st.text(max_size=8),
)


@given(session=sessions, other=sessions)
def test_a_session_comes_back_as_it_was_left(
    tmp_path_factory: pytest.TempPathFactory, session: Session, other: Session
) -> None:
    path = tmp_path_factory.mktemp("state") / "tomoseg" / "sessions.json"
    write_session(path, Path("/a"), session)
    write_session(path, Path("/b"), other)
    assert read_session(path, Path("/a")) == session
    assert read_session(path, Path("/b")) == other


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"/a": 1}', '{"/a": {}}', '{"/a": {"z": 3}}'])
def test_a_damaged_memory_is_a_new_beginning(tmp_path: Path, text: str) -> None:
    path = tmp_path / "sessions.json"
    path.write_text(text)
    assert read_session(path, Path("/a")) == Session()


def test_the_oldest_projects_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "sessions.json"
    names = [f"/p{number}" for number in range(MOST_SESSIONS + 1)]
    path.write_text(json.dumps({name: Session().__dict__ for name in names}))
    write_session(path, Path("/p1"), Session("jobs"))
    assert list(json.loads(path.read_text())) == [*names[2:], "/p1"]
