"""Times, sizes and states as text for the screen."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

JobListing = Mapping[str, Any]
"""A job as in `jobs --json`."""

MINUTE, HOUR = 60, 3600


def format_clock(seconds: float | None) -> str:
    """Return a duration as ``02:50`` or ``1:02:50``; empty if it is None."""
    if seconds is None:
        return ""
    minutes, remainder = divmod(round(max(seconds, 0)), MINUTE)
    hours, minutes = divmod(minutes, MINUTE)
    return f"{hours}:{minutes:02}:{remainder:02}" if hours else f"{minutes:02}:{remainder:02}"


def format_time(timestamp: str | None, *, now: datetime | None = None) -> str:
    """Return an ISO 8601 time in local time: ``22:12`` today, else ``21 Nov``, with the year if it differs.

    Parameters
    ----------
    timestamp : str or None
        UTC, as in records.
    now : datetime or None
        The present, with the time zone of the result; that of this machine by default.
    """
    current = now or datetime.now(UTC).astimezone()
    try:
        local_time = datetime.fromisoformat(timestamp or "").astimezone(current.tzinfo)
    except ValueError:
        return ""
    if local_time.date() == current.date():
        return f"{local_time:%H:%M}"
    return f"{local_time:%d %b}" if local_time.year == current.year else f"{local_time:%Y}"


def ellipsize(text: str, width: int) -> str:
    """Return a text no wider than a column; the middle of a longer one is left out."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[len(text) - tail :]}" if width > 1 else "…"[:width]


def format_progress_bar(fraction: float, width: int) -> str:
    """Return a progress bar that is readable without colours."""
    filled = round(min(max(fraction, 0.0), 1.0) * width)
    return "█" * filled + "░" * (width - filled)


def describe_state(job: JobListing) -> str:
    """Return the details of a job's state: its location, or its fault and fix."""
    if job["fault"]:
        return f"{job['fault']} {job['fix'] or ''}".strip()
    if job["state"] == "stopped":
        return "Stopped; finished work is kept. r resumes it."
    return str(job["message"] or "")
