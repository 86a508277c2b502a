"""Laws are checked without a stopwatch: a machine that others use too is slow now and then."""

from hypothesis import settings

settings.register_profile("without_deadline", deadline=None)
settings.load_profile("without_deadline")
