"""Tests of the statistics: arithmetic by hand, published tables, references, simulation, laws."""
