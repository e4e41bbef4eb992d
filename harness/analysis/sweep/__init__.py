"""Every layer without a model: which cases are run with what, and what their verdicts mean."""
