"""Benchmarks: deterministic SparkPost traffic, storage layouts, and what they cost."""
