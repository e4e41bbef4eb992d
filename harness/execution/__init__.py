"""Runs cells in isolated processes and turns what becomes of them into records."""
