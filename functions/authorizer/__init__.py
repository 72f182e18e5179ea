"""Looks an API key up and says who it is."""
