"""The table of docs/reliability.md, a test a row: `test_01_...` is of row 1. See scripts/reliability.py."""
