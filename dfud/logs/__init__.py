"""What is in DIR/LOGS: the lock, the record of the run, the tables and the log file."""
