"""Decide: pure model, state, life cycle and placement."""
