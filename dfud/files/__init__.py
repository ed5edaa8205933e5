"""File-system operations shared by several packages: paths below an open directory, scans, atomic writes, sync."""
