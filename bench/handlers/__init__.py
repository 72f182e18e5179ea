"""Handlers that the listener is compared with; each runs alone, as a Lambda's only code."""
