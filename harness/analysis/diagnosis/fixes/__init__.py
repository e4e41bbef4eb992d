"""Changes that may fix an error: each is applied, run again and measured before it is proposed."""
