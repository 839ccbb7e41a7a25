"""Searches conjunctions of groups for those that fare worse, with p-values that hold over everything searched."""

WITHOUT = "it does not fare worse without "
"""The note on a subgroup whose contrast comes from a smaller one inside of it, which follows."""
