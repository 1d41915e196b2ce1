"""How fast evaljob is, and how much memory it takes: measured beside its alternatives, as ratios within one run."""
