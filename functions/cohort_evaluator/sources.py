"""Whose events are whose: those of the candidates, as relations that conditions read.

Activities have the columns subject_id, at, occurred_at, key, operation_id, agent_id, company_id, duration, weight and
properties; mails subject_id, at, occurred_at, key, kind_key, mailing_key, receiver_key, client_key, message_id, reason,
url, ip_address and metadata. `at` is the instant at which the candidate is evaluated. A tick gathers the events of all
its candidates once (`seen_activities_user` and so on), as far back as most conditions reach; what is older is read from
the tables, of those for whom it matters.
"""

from datetime import datetime
from typing import Any, Final

from pypika import PostgreSQLQuery as Query
from pypika import Table

from cohort_evaluator.conditions import MAIL, USER
from cohort_evaluator.terms import FALSE, Binder, Truth

candidates = Table("candidates")
identities = Table("identities")
ACTIVITIES: Final = (*("occurred_at", "operation_id", "agent_id", "company_id", "duration", "weight", "properties"),)
MAILS: Final = (
    *("occurred_at", "kind_key", "mailing_key", "receiver_key", "client_key", "message_id", "reason", "url"),
    *("ip_address", "metadata"),
)


def list_columns(kind: str) -> tuple[str, ...]:
    """What is gathered of events of a kind."""
    return ("subject_id", "key", *(MAILS if kind == MAIL else ACTIVITIES))


class Sources:
    """Where the events of one kind of subjects come from; gathered ones reach back to `gathered_since`, if at all."""

    def __init__(self, subject: str, *, is_gathered: bool = False, gathered_since: datetime | None = None) -> None:
        self.subject = subject
        self._is_gathered = is_gathered
        self.gathered_since = gathered_since

    def has_older(self, since: datetime | None) -> bool:
        """Whether `read` leaves out what is older than what was gathered, though it be since the instant (or ever)."""
        return self._is_gathered and self.gathered_since is not None and (since is None or since < self.gathered_since)

    def read(self, kind: str, since: datetime | None, binder: Binder) -> Any:
        """A query of the candidates' events of a kind since an instant, or ever; see `has_older`."""
        if self._is_gathered:
            return self._read_gathered(kind, since, binder)
        return self.read_tables(kind, since, binder, candidates)

    def read_older(self, kind: str, since: datetime | None, binder: Binder, of: Table) -> Any:
        """What `read` leaves out; `of` has the subjects, and the instant `at` of each."""
        return self.read_tables(kind, since, binder, of, until=self.gathered_since)

    def _read_gathered(self, kind: str, since: datetime | None, binder: Binder) -> Any:
        seen = Table(f"seen_{'mails' if kind == MAIL else 'activities'}_{self.subject}")
        columns = MAILS if kind == MAIL else ACTIVITIES
        query = Query.from_(candidates).join(seen).on(seen.subject_id == candidates.subject_id)
        query = query.select(candidates.subject_id, candidates.at, seen.key, *(seen.field(name) for name in columns))
        return query if since is None else query.where(seen.occurred_at >= binder.bind(since))

    def read_tables(
        self, kind: str, since: datetime | None, binder: Binder, of: Table, *, until: datetime | None = None
    ) -> Any:
        """The same from the tables themselves, up to before an instant, if one is given; `of` has the subjects."""
        if kind == MAIL:
            return self._read_mails(since, binder, of, until)
        event = Table("activities")
        query = Query.from_(of)
        if self.subject == USER:
            query = query.join(identities).on(identities.person_id == of.subject_id)
            query = query.join(event).on(event.identity_id == identities.identity_id)
        else:
            query = query.join(event).on(event.company_id == of.subject_id)
        query = query.select(of.subject_id, of.at, event.activity_key.as_("key"), *map(event.field, ACTIVITIES))
        return _limit(query, event, since, until, binder)

    def _read_mails(self, since: datetime | None, binder: Binder, of: Table, until: datetime | None) -> Any:
        event = Table("events")

        def read() -> Any:
            query = Query.from_(of).join(identities).on(identities.person_id == of.subject_id)
            query = query.join(event).on(
                (event.recipient == identities.value)
                & event.user_key.isnull()
                & (identities.identity_type == "address")
                if by_address
                else (event.user_key == identities.content_key) & (identities.identity_type == "user")
            )
            query = query.select(of.subject_id, of.at, event.event_key.as_("key"), *map(event.field, MAILS))
            if self.subject != USER:
                query = query.where(Truth(FALSE))
            return _limit(query, event, since, until, binder)

        by_address = True
        first = read()
        by_address = False
        return first * read()  # UNION ALL


def _limit(query: Any, event: Table, since: datetime | None, until: datetime | None, binder: Binder) -> Any:
    if since is not None:
        query = query.where(event.occurred_at >= binder.bind(since))
    return query if until is None else query.where(event.occurred_at < binder.bind(until))
