"""Fuzzing of the download: bytes are taken for a topic of honest and of hostile messages.

``python -m tests.fuzz --seconds 3600`` looks for bytes that reach new lines of dfud, or that break a promise.
"""
