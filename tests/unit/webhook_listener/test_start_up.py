import subprocess
import sys
from pathlib import Path

FUNCTIONS = Path(__file__).parents[3] / "functions"
HEAVY = {"boto3", "botocore", "aws_lambda_powertools", "psycopg2", "zstandard", "msgspec", "pypika", "pydantic"}


def test_listener_imports_nothing_heavy() -> None:
    """The listener is on every ESP's way: it runs on the standard library alone, and imports one provider only."""
    code = """
import sys
import webhook_listener.app
from providers import find_provider
find_provider("sparkpost")
find_provider("acme_mail")
print(" ".join({name.partition(".")[0] for name in sys.modules}))
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=FUNCTIONS, capture_output=True, text=True, check=True)
    assert not HEAVY & set(run.stdout.split())
