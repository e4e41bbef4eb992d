"""The same work on a Dask cluster: what can run where, what travels, and the engine."""

import dask.config

# Imported, distributed would write its settings, all of them comments, into the home directory.
_ensure_file, dask.config.ensure_file = dask.config.ensure_file, lambda *_, **__: None
import distributed  # noqa: E402, F401

dask.config.ensure_file = _ensure_file
