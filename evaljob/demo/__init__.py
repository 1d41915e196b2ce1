"""Logs of two real classifiers, served and labeled for some simulated weeks: what `evaljob demo` writes.

The story that the numbers tell: v2 joins as a canary, is better than v1 and takes half of the traffic, until from
INCIDENT on its feature pipeline turns lengths into inches, for the phones above all. v1 keeps its own pipeline and
its quality.
"""

from evaljob.demo.logs import Logs, make_logs
from evaljob.demo.tables import LABELS, PREDICTIONS, write_logs
from evaljob.demo.traffic import CANARY, INCIDENT

__all__ = ["CANARY", "INCIDENT", "LABELS", "PREDICTIONS", "Logs", "make_logs", "write_logs"]
