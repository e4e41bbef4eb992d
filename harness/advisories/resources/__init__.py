"""Defaults of ncnn's run options, by date."""
