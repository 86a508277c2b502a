"""A project with one tomogram named cell: 8 x 128 x 128 bytes of noise at 10 Å."""

import pytest
from helpers.cli_runner import bring, noise
from hypothesis import settings

from tomoseg_tui.project.catalog import Project

settings.register_profile("without_deadline", deadline=None)
settings.load_profile("without_deadline")


@pytest.fixture
def cell(project: Project) -> Project:
    bring(project, "cell", noise((8, 128, 128)))
    return project
