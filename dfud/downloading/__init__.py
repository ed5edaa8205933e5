"""Downloading a topic: rebuilds its files below a directory, by processes that share its partitions."""
