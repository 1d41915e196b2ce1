"""Prometheus' configuration and rules, and the Grafana dashboard, which `python -m monitoring.dashboard` generates."""

import warnings

# Every Grafana imports the classic schema, and only the newest ones its successor, which the SDK would rather see used.
warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
