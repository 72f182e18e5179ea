"""Loads stored batches into Postgres."""
