"""Values that everybody shares: specifications, records, metrics, limits, findings."""
