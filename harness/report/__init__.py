"""The compatibility report: results as one HTML page, Markdown, CSV, JSON and JUnit XML."""

from harness.report.write import write_report

__all__ = ["write_report"]
