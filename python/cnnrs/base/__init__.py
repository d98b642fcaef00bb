"""What every other folder may import: checks of arguments, names, hints, warnings, the state of a thread.

Modules here import the core, numpy and each other. `tests/python/test_import_order.py` has the order of
all folders.
"""
