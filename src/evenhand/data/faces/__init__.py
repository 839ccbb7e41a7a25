"""Data sets of face photographs: folders of images, with labels in a file or in the file names."""
