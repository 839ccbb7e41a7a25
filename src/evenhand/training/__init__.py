"""Trains packs of models: the loop, and everything that affects a number in it."""
