"""Jobs on a cluster, through Slurm's commands."""
