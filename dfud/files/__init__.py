"""What several rooms use of the file system: paths below an open directory, scans, atomic replacement, sync."""
