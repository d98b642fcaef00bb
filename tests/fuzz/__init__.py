"""Differential fuzzing: random programs over the Python API of cnnrs, compared with float64.

`python -m fuzz --programs 1000 --seed 1` with `tests` on the path; `make fuzz` does that.
"""
