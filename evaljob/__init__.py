"""Exact rolling-window quality metrics of deployed models while their labels arrive late."""
