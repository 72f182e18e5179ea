"""Creates roles and applies migrations, inside the VPC."""
