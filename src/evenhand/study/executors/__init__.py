"""Ways to run trials: in one process, or in all processes of a launch."""
