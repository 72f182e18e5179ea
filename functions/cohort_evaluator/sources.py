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
from cohort_evaluator.terms import Binder

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

    def __init__(
        self,
        subject: str,
        *,
        is_gathered: bool = False,
        gathered_since: datetime | None = None,
        people: str = "company_people",  # who is of a company
    ) -> None:
        self.subject = subject
        self._people = Table(people)
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
        event = Table("events" if kind == MAIL else "activities")
        key, columns = (event.event_key, MAILS) if kind == MAIL else (event.activity_key, ACTIVITIES)
        found = self._find_mails(of, event) if kind == MAIL else self._find_activities(of, event)
        selected = [query.select(of.subject_id, of.at, key.as_("key"), *map(event.field, columns)) for query in found]
        first, *others = [_limit(query, event, since, until, binder) for query in selected]
        return first * others[0] if others else first  # UNION ALL

    def _find_activities(self, of: Table, event: Table) -> list[Any]:
        # Nothing is done by an address: half of the names need not be looked for.
        named = (event.identity_id == identities.identity_id) & (identities.identity_type != "address")
        by_user = self._find_names(of).join(event).on(named)
        if self.subject == USER:
            return [by_user]
        return [
            Query.from_(of).join(event).on(event.company_id == of.subject_id),
            by_user.where(event.company_id.isnull()),
        ]

    def _find_mails(self, of: Table, event: Table) -> list[Any]:
        by_address = (event.recipient == identities.value) & event.user_key.isnull()
        by_user = event.user_key == identities.content_key
        return [
            self._find_names(of).join(event).on(by_address & (identities.identity_type == "address")),
            self._find_names(of).join(event).on(by_user & (identities.identity_type == "user")),
        ]

    def _find_names(self, of: Table) -> Any:
        """All names of the subjects' people: the users themselves, or those of a company."""
        query = Query.from_(of)
        if self.subject == USER:
            return query.join(identities).on(identities.person_id == of.subject_id)
        query = query.join(self._people).on(self._people.company_id == of.subject_id)
        return query.join(identities).on(identities.person_id == self._people.person_id)


def _limit(query: Any, event: Table, since: datetime | None, until: datetime | None, binder: Binder) -> Any:
    if since is not None:
        query = query.where(event.occurred_at >= binder.bind(since))
    return query if until is None else query.where(event.occurred_at < binder.bind(until))
