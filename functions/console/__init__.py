"""Serves the console, a web page for support, and signs people in to it."""
