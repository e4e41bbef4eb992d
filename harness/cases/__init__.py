"""One-layer models: described by one line of text, made up of it, and what they should give."""
