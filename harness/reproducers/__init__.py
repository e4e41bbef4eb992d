"""Findings as programs that ncnn's maintainers can run: a test, and one by itself."""
