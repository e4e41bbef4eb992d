"""The compatibility report: results as one HTML page, Markdown, CSV, JSON and JUnit XML."""

from harness.report.commits import GuiltyCommit
from harness.report.dataset import cmake_arguments
from harness.report.stories import Passage, Story, write_story
from harness.report.write import write_report

__all__ = [
    "GuiltyCommit",
    "Passage",
    "Story",
    "cmake_arguments",
    "write_report",
    "write_story",
]
