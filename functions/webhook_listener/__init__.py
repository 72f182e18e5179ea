"""Takes ESP webhooks, stores them in S3 and answers."""
