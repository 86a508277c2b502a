"""What a job's worker runs: train, audit, apply. Only `jobs.worker` calls it."""
