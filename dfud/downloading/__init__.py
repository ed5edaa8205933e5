"""Rebuilding the files of a topic below a directory: parts, their sync and their place, and the processes."""
