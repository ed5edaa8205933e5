"""How files are detected: inotify, scans and polling."""
