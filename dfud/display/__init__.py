"""What a terminal shows while something runs, and the line that sums it up. Nothing here waits or has a thread."""
