"""Probe tasks over HTTP and TCP and report changed verdicts."""
