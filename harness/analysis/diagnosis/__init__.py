"""Which layer is to blame for an error, by which mechanism, and a fix that was verified."""
