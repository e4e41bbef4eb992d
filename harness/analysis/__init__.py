"""What the records mean: causes, guilty layers and their mechanisms, guilty commits."""
