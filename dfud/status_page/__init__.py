"""A page of HTML about the uploads from a directory: pure functions from what LOGS says to text."""
