"""Data files with the built-in defaults."""
