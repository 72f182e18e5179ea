"""Writes large exports into their bucket."""
