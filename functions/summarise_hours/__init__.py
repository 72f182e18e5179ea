"""Counts what happened in each hour once it is over, and again where it changed."""
