"""dfud as a service of systemd: the unit, the files of its instances, and where they lie."""
