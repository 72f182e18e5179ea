"""Saves, deletes and rehearses definitions of cohorts for who may."""
