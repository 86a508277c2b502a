"""Mutated files of every format are read, or refused in words; `make fuzz SECONDS=N` goes on for longer."""

from pathlib import Path

import pytest
from fuzz import _problem, fuzz


@pytest.mark.slow
def test_mutated_files_are_read_or_refused() -> None:
    inputs, findings, _ = fuzz(30, seed=7)
    assert not findings
    assert len(inputs) > 20


def test_what_no_reader_may_raise_is_found(tmp_path: Path) -> None:
    assert _problem(lambda path: int(path.name[:0]), tmp_path).startswith("ValueError at test_fuzz.py")
