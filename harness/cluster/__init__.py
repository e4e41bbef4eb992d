"""The same work on a Dask cluster: what can run where, what travels, and the engine."""
