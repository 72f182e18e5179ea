"""Whose events are whose: those of the candidates, as relations that conditions read.

Activities have the columns subject_id, at, occurred_at, key, operation_id, agent_id, company_id, duration, weight and
properties; mails subject_id, at, occurred_at, key, kind_key, mailing_key, receiver_key, client_key, message_id, reason,
url, ip_address and metadata. `at` is the instant at which the candidate is evaluated. A tick gathers the events of all
its candidates once (`seen_activities_user` and so on), as far back as most conditions reach; what reaches further back
is read from the tables.
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


class Sources:
    """Where the events of one kind of subjects come from; gathered ones reach back to `gathered_since`, if at all."""

    def __init__(self, subject: str, *, is_gathered: bool = False, gathered_since: datetime | None = None) -> None:
        self.subject = subject
        self._is_gathered = is_gathered
        self._gathered_since = gathered_since

    def read(self, kind: str, since: datetime | None, binder: Binder) -> Any:
        """A query of the candidates' events of a kind since an instant, or ever."""
        if self._is_gathered and (
            self._gathered_since is None or (since is not None and since >= self._gathered_since)
        ):
            return self._read_gathered(kind, since, binder)
        return self.read_tables(kind, since, binder, candidates)

    def _read_gathered(self, kind: str, since: datetime | None, binder: Binder) -> Any:
        seen = Table(f"seen_{'mails' if kind == MAIL else 'activities'}_{self.subject}")
        columns = MAILS if kind == MAIL else ACTIVITIES
        query = Query.from_(candidates).join(seen).on(seen.subject_id == candidates.subject_id)
        query = query.select(candidates.subject_id, candidates.at, seen.key, *(seen.field(name) for name in columns))
        return query if since is None else query.where(seen.occurred_at >= binder.bind(since))

    def read_tables(self, kind: str, since: datetime | None, binder: Binder, of: Table) -> Any:
        """The same from the tables themselves; `of` has the subjects."""
        if kind == MAIL:
            return self._read_mails(since, binder, of)
        event = Table("activities")
        query = Query.from_(of)
        if self.subject == USER:
            query = query.join(identities).on(identities.person_id == of.subject_id)
            query = query.join(event).on(event.identity_id == identities.identity_id)
        else:
            query = query.join(event).on(event.company_id == of.subject_id)
        query = query.select(of.subject_id, of.at, event.activity_key.as_("key"), *map(event.field, ACTIVITIES))
        return query if since is None else query.where(event.occurred_at >= binder.bind(since))

    def _read_mails(self, since: datetime | None, binder: Binder, of: Table) -> Any:
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
            return query if since is None else query.where(event.occurred_at >= binder.bind(since))

        by_address = True
        first = read()
        by_address = False
        return first * read()  # UNION ALL
