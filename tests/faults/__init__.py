"""Faults, caused for real, and a table of what each one cost: ``scripts/faults``.

Each module here has faults of one kind and lists them in ``FAULTS``; `catalogue` lists the modules. A fault gets a
`Scene` to happen in and the number of times to happen, and fills in a `Tally`.
"""
