"""The programs that dfud is compared with; each runs a `Job`."""
