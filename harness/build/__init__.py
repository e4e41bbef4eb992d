"""From a specification to a finished build: what it needs, how it is compiled, what came out."""
