"""The code that a job's worker runs; called by `jobs.worker` only."""
