"""Changes that may cure an error: each is applied, run again and measured before it is proposed."""
