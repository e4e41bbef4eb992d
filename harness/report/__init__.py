"""The compatibility report: results as one HTML page, Markdown, CSV, JSON and JUnit XML."""

from harness.domain.commits import GuiltyCommit
from harness.domain.findings import Passage, Story, write_story
from harness.report.dataset import cmake_arguments
from harness.report.write import write_report

__all__ = [
    "GuiltyCommit",
    "Passage",
    "Story",
    "cmake_arguments",
    "write_report",
    "write_story",
]
