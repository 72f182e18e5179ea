"""Tells people what the evaluator found: by email, Slack, webhook, or a mail to the members themselves."""
