"""Who runs trials: one process, Ray, Slurm."""
