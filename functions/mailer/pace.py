"""Mails leave no faster than SES takes them: what is above the account's rate is refused."""

import logging
import time
from collections.abc import Callable
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

FRESH_SECONDS: Final = 600
AT_ONCE: Final = 2  # processes, each with an equal part: MaximumConcurrency in template.yaml
USED: Final = 0.97  # of the rate, as clocks and networks are not even
SLOWEST: Final = 1.0  # a second: what every account may

log = logging.getLogger(__name__)


class Pace:
    """One process's part of the account's rate; `client` is SES's."""

    def __init__(
        self,
        client: Any,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client = client
        self._clock = clock
        self._sleep = sleep
        self._rate = SLOWEST
        self._read_at: float | None = None
        self._next = 0.0

    def wait(self) -> None:
        """Waits until the next mail may go."""
        now = self._clock()
        if self._read_at is None or now - self._read_at > FRESH_SECONDS:
            self._rate, self._read_at = self._read(), now
        at = max(self._next, now)
        self._next = at + AT_ONCE / (self._rate * USED)
        if at > now:
            self._sleep(at - now)

    def _read(self) -> float:
        try:
            quota = self._client.get_account()["SendQuota"]
        except (ClientError, BotoCoreError) as failure:
            log.warning("the send rate can't be read", extra={"error": type(failure).__qualname__})
            return self._rate
        return max(float(quota["MaxSendRate"]), SLOWEST)
