"""What several tests share: running the commands, reading topics, networks and file systems to break."""
