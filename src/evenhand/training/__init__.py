"""Trains packs of models: the loop, and everything that affects a number in it."""

import os

# On a busy machine, a thread that spins while it waits holds the core that the thread it waits for needs. OpenMP reads
# the variable when torch is imported, so it is set before.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
