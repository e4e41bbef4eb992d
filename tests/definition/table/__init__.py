"""What definitions are compared with real ncnn on: every type, every kind of parameter."""

from tests.definition.table import convolving, elementwise, moving, products, reducing, sampling

CASES = [
    *convolving.CASES,
    *elementwise.CASES,
    *moving.CASES,
    *products.CASES,
    *reducing.CASES,
    *sampling.CASES,
]
