"""What all commands of several processes share: workers, channels, the event loop, signals, the console."""
