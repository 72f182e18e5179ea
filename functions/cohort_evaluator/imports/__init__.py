"""Cohorts of other systems, from their JSON to ours."""
