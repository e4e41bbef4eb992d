"""Fault injection: what the harness does when everything around it goes wrong.

`python -m faults` (`nox -s faults`) strikes real runs of the harness, one fault after the other,
and checks after each that no number is wrong, nothing finished is lost, nothing is left running,
and that the next run needs nobody to clean up. `python -m faults.soak` (`nox -s soak`) kills and
restarts a long run at random. `docs/reliability.md` is written by this package.
"""
