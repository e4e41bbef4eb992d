"""Configuration files, the command line's axes, and the cells that both stand for."""
