"""The corpus, run: each known fault in the versions that have it and in those that have not."""
