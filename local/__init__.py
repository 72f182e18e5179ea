"""The local stack: everything that template.yaml declares, on 127.0.0.1, without Docker and without an AWS account."""
