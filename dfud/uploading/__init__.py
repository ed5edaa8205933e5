"""The processes that carry the bytes: chunkers, producers and their supervisor."""
