"""What records mean: causes, layers at fault and their mechanisms, commits at fault."""
