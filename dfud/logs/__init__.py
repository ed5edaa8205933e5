"""What dfud keeps in ``DIR/LOGS``: the lock, the tables, the log file."""
