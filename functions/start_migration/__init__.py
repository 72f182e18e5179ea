"""Starts the migration for CloudFormation, outside the VPC."""
