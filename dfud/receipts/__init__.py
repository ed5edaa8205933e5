"""Receipts on a topic of their own: who has which version of a file."""
