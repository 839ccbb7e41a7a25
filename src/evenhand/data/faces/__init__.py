"""Photographs of faces: data sets that are folders of images with labels in a file or in the files' names."""
