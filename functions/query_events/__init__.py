"""Answers the query API from Postgres."""
