"""The migrations: `sql/` beside the packages in Lambda, beside functions/ in the repository."""

from pathlib import Path

_HERE = Path(__file__).resolve().parents[1]
_FOLDERS = (_HERE / "sql" / "migrations", _HERE.parent / "sql" / "migrations")


def list_migrations() -> list[Path]:
    """The migrations in their order: `NNNN_verb_noun.sql`."""
    folder = next((folder for folder in _FOLDERS if folder.is_dir()), None)
    if folder is None:
        raise FileNotFoundError(f"no migrations in {' or '.join(map(str, _FOLDERS))}")
    return sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))
