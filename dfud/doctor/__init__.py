"""What commonly stops an upload, looked for before it does."""
