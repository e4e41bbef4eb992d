"""The soak: a matrix that is killed and restarted for hours, and has to end with the same table."""
