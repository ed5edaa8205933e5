"""How files are recognised: inotify, scans and polling."""
