"""Faults, caused for real, and a table of what they cost: ``scripts/faults``.

Each module of this folder is about faults of one kind and lists them in ``FAULTS``; `catalogue` lists the
modules. A fault gets a `Scene` to happen in and the number of times to happen, and fills in a `Tally`.
"""
