"""Proving that what is in a directory is on a topic, byte for byte, without writing anything."""
