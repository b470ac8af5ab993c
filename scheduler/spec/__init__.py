"""Translate app JSON to the model and back."""
