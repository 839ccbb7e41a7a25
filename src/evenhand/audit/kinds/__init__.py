"""One reading per kind of records: how records become arrays, estimates and comparisons."""
