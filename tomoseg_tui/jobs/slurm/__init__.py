"""Run jobs on a cluster through Slurm's own commands."""
