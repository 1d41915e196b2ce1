"""Random input, and what it must lead to: never a traceback."""
