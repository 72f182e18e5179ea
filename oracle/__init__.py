"""Says who is in which cohort, since when and until when, from raw facts and definitions alone.

It knows neither SQL nor deadlines and is slow on purpose: what the cohorts' evaluator tells is held against it.
"""
