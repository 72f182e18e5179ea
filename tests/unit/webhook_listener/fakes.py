"""Stand-ins for S3 and Secrets Manager, passed in where the real ones would be."""

from collections.abc import Mapping

from common.aws import AwsError


class FakeBucket:
    """Keeps objects in memory; fails while `failing`."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.failing = False

    def put_new(self, key: str, body: bytes, metadata: Mapping[str, str], _digest: str) -> bool:
        """As `Bucket.put_new`."""
        if self.failing:
            raise AwsError(503, "", "s3 PutObject")
        new = key not in self.objects
        self.objects.setdefault(key, (body, dict(metadata)))
        return new


class FakeSecrets:
    """Fixed secrets; fails while `failing`."""

    def __init__(self, **secrets: list[str]) -> None:
        self.secret_id = "the-secret"
        self.secrets = secrets
        self.failing = False

    def find(self, provider: str) -> list[str]:
        """As `NamedSecrets.find`."""
        if self.failing:
            raise AwsError(0, "TimeoutError", "secretsmanager POST")
        return self.secrets.get(provider, [])
