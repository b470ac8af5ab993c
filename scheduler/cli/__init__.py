"""Provide the egret command."""
