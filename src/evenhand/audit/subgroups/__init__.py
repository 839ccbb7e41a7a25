"""Searches conjunctions of groups for those that fare worse, with p-values that hold over everything searched."""
