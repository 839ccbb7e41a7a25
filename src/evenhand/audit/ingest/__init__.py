"""Tables of predictions or membership scores that somebody else made, read into records."""
