"""From "it got worse" to the commit: a pure search, its rules, and the driver around them."""
