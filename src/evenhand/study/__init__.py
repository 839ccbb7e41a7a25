"""What to run, where it is kept, who runs it: the only room that knows both wings."""
