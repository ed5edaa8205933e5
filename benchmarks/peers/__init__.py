"""The programs that dfud is measured against; each is told what to do by a `Job`."""
