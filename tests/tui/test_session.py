"""The last session of each project."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tomoseg_tui.tui.session import (
    MAX_SESSIONS,
    TuiSession,
    log_file,
    read_session,
    sessions_file,
    write_session,
)


def test_files_are_where_xdg_says() -> None:
    environment = {"XDG_CONFIG_HOME": "/c", "XDG_STATE_HOME": "/s", "HOME": "/h"}
    assert sessions_file(environment) == Path("/s/tomoseg/sessions.json")
    assert log_file(environment) == Path("/s/tomoseg/tui.log")


def test_without_xdg_files_are_in_the_home_folder() -> None:
    environment = {"HOME": "/h", "XDG_CONFIG_HOME": ""}
    assert sessions_file(environment) == Path("/h/.local/state/tomoseg/sessions.json")


sessions = st.builds(
    TuiSession,
    st.sampled_from(["import", "tiles", "jobs"]),
    st.none() | st.text(max_size=8),
    st.none() | st.integers(0, 4000),
    st.none() | st.floats(0.01, 64),
    st.none() | st.text(max_size=8),
)


@given(session=sessions, other=sessions)
def test_a_session_survives_saving(
    tmp_path_factory: pytest.TempPathFactory, session: TuiSession, other: TuiSession
) -> None:
    path = tmp_path_factory.mktemp("state") / "tomoseg" / "sessions.json"
    write_session(path, Path("/a"), session)
    write_session(path, Path("/b"), other)
    assert read_session(path, Path("/a")) == session
    assert read_session(path, Path("/b")) == other


@pytest.mark.parametrize("text", ["", "no json", "[]", '{"/a": 1}', '{"/a": {}}', '{"/a": {"z": 3}}'])
def test_a_damaged_file_gives_the_defaults(tmp_path: Path, text: str) -> None:
    path = tmp_path / "sessions.json"
    path.write_text(text)
    assert read_session(path, Path("/a")) == TuiSession()


def test_the_oldest_projects_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "sessions.json"
    names = [f"/p{number}" for number in range(MAX_SESSIONS + 1)]
    path.write_text(json.dumps({name: TuiSession().__dict__ for name in names}))
    write_session(path, Path("/p1"), TuiSession("jobs"))
    assert list(json.loads(path.read_text())) == [*names[2:], "/p1"]
