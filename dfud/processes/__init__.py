"""What the programs of several processes have in common: starting, talking, waiting, the user's console."""
