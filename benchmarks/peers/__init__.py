"""Other tools as contenders, each run by a Python of its own that has it: `benchmarks.suite` builds them."""
