"""Examples that run. They are not part of the installed package."""
