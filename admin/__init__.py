"""What an administrator does to a deployed stack: replay stored batches, and make or revoke API keys."""
