"""Inside the answer of a bisection: which of the lines that a commit changed matter."""
