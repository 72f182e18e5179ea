"""Evaluates saved cohorts of users and companies."""
