"""What causes a fault: statements that rest on pairs of measured cells (docs/attribution.md)."""
