"""Libraries linked of parts of two builds: object files of either, and functions of either."""
