"""The loop, and everything that affects a number in it."""
