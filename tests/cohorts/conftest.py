"""One Postgres for all of these, which empty it as they need."""

from tests.integration.conftest import migrated, postgres

__all__ = ["migrated", "postgres"]
