"""Declare the metrics and set up the logs."""
