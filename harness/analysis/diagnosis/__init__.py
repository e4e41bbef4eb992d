"""Which layer is at fault for an error, by which mechanism, and a fix that was verified."""
