"""Jobs that are killed at seeded moments: their final results, and what they leave behind.

`make kills` does the same fifty times with each kind of job.
"""

import random
from pathlib import Path

import pytest
from helpers.reference_results import SMALL
from kill_jobs import Killer

KILLS = 4


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["train", "apply", "merge", "preprocess"])
def test_a_repeatedly_killed_job_ends_with_the_results_of_an_undisturbed_one(
    kind: str, small_template: Path, tmp_path: Path
) -> None:
    """Kills at changes on disk, which are repeatable with the seed; the benchmark also draws times."""
    tally = Killer(kind, small_template, tmp_path).disturb(KILLS, random.Random(f"{kind} 3"), clock=0.0)
    assert tally.kills == KILLS


def test_the_network_of_the_disturbed_jobs_is_small() -> None:
    assert SMALL.parameters(features=1) < 300
