"""Every kind of failure by a short code, which messages carry and `docs/errors.md` explains.

A code stays with its kind: one that is no longer used is not given to another kind.
"""

from __future__ import annotations

from enum import StrEnum, unique


@unique
class Code(StrEnum):
    """A kind of failure; the letter says whose turn it is, the number nothing."""

    # The command line.
    USAGE = "U01"
    NOT_UNDERSTOOD = "U02"
    UNUSABLE_WORD = "U03"
    NO_MATCH = "U04"
    NO_RESULTS = "U05"
    STRANGE_RESULTS = "U06"
    ENDS_SWAPPED = "U07"
    ENDS_ALIKE = "U08"
    UNKNOWN_RELEASE = "U09"
    STRANGE_CASE = "U10"
    STRANGE_SHAPE = "U11"

    # Files of whatever kind.
    UNREADABLE = "F01"
    NO_REGULAR_FILE = "F02"
    TOO_LARGE = "F03"
    NOT_UTF8 = "F04"

    # Configuration.
    CONFIG = "C01"
    NO_TOML = "C02"
    UNKNOWN_NAME = "C03"
    LOCK_FILE = "C04"
    PIP_CONFIG = "C05"
    CORPUS = "C06"

    # The model and its inputs.
    MODEL = "M01"
    PARAM = "M02"
    PARAM_STRUCTURE = "M03"
    WEIGHTS = "M04"
    ONNX = "M05"
    NOT_CONVERTED = "M06"
    INPUT_SHAPE = "M07"
    INPUT_CONTENT = "M08"
    MODEL_NAMES = "M09"
    NO_REFERENCE = "M10"
    LIMIT = "M11"
    NOT_FINITE = "M12"

    # Sources and other downloads.
    SOURCE = "D01"
    OTHER_CONTENT = "D02"
    NOT_PINNED = "D03"
    NO_SUCH_VERSION = "D04"
    STRANGE_INDEX = "D05"
    NO_SUCH_REVISION = "D06"
    NOT_NCNN = "D07"
    PARTIAL_CLONE = "D08"
    GIT_FAILED = "D09"
    STRANGE_ARCHIVE = "D10"
    NO_GLSLANG = "D11"

    # This machine.
    MACHINE = "E01"
    NO_NETWORK = "E02"
    DISK = "E03"
    NO_COMPILER = "E04"
    NO_PROGRAM = "E05"
    BINDING = "E06"
    CPU = "E07"
    TARGET = "E08"
    VULKAN = "E09"
    SANITIZER = "E10"
    COVERAGE = "E11"
    MEMORY = "E12"
    DAMAGED = "E13"
    CLUSTER = "E14"

    # Builds of ncnn.
    BUILD_FAILED = "B01"
    FAILED_BEFORE = "B02"
    NO_LAYER = "B03"
    TOO_OLD = "B04"
    UNBUILDABLE = "B05"

    # Answers that there are not.
    NOT_REPRODUCIBLE = "N01"

    # The harness itself.
    INTERNAL = "X01"
    OUTSIDE = "X02"
    OUTPUT_CLOSED = "X03"
