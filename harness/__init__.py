"""Build many variants of ncnn, run one model on each, and find what costs precision."""

__version__ = "0.1.0"
