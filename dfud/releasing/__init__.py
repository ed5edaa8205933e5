"""Releasing files: deleting or moving away those of which all receivers have receipts, and no others."""
