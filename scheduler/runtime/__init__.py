"""Run the core: inbox, turn, commit, effects."""
