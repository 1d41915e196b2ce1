"""Write the golden SQL anew: `python -m tests.golden`."""

from tests.golden import files

for path, text in files():
    path.write_text(text)
