"""Makes partitions ahead and drops those past the retention."""
