"""The short keys (ints that Postgres gives) of what activities share; each is asked for once by a process."""

from collections.abc import Iterable, Mapping
from typing import Any

from psycopg2.extensions import cursor as Cursor

from common.activities import COMPANY, USER, Identity, Operation, make_content_key
from common.event_keys import hash_key
from common.events import Json
from common.json_text import encode_json
from providers._fields import LONGEST_INDEXED

Labels = tuple[tuple[str, str], ...]

REMEMBERED = 500_000  # of one table
# What is new gets the next numbers. Sorted, so that two loaders can't deadlock; looked for first, or each conflict
# would use up a number. The second statement finds what other loaders inserted meanwhile, too.
INSERT = """
INSERT INTO {0} ({1}) SELECT {1} FROM json_populate_recordset(NULL::{0}, %(rows)s) AS given
WHERE NOT EXISTS (SELECT FROM {0} known WHERE known.content_key = given.content_key)
ORDER BY content_key ON CONFLICT (content_key) DO NOTHING;
SELECT content_key, {2} FROM {0} JOIN json_to_recordset(%(rows)s) AS given (content_key bigint) USING (content_key)
"""
FIND_OPERATIONS = INSERT.format("operations", f"content_key, {', '.join(Operation._fields)}", "operation_id")
FIND_AGENTS = INSERT.format("agents", "content_key, user_agent", "agent_id")
FIND_SERIES = INSERT.format("series", "content_key, name, labels, identity_id, company_id", "series_id")
FIND_IDENTITIES = "SELECT key, id FROM find_identities(%(rows)s)"


class _Table:
    """The keys of one table."""

    def __init__(self, statement: str) -> None:
        self._statement = statement
        self.known: dict[Any, int] = {}

    def learn(self, cursor: Cursor, rows: dict[Any, Json]) -> None:
        """Asks for what is not known; `rows`: what it is → its columns, the content key among them."""
        if not rows:
            return
        cursor.execute(self._statement, {"rows": encode_json(list(rows.values())).decode()})
        ids: dict[int, int] = dict(cursor.fetchall())
        for what, columns in rows.items():
            self.known[what] = ids[columns["content_key"]]


class ShortKeys:
    """The keys of operations, agents and identities in one database; committed at once, also where a load fails."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self.remembered = remembered
        self._operations = _Table(FIND_OPERATIONS)
        self._agents = _Table(FIND_AGENTS)
        self._identities = _Table(FIND_IDENTITIES)
        self._series = _Table(FIND_SERIES)
        self._generation: object = None
        self.forgotten = 0  # counts how often keys became untrue
        self.operations = self._operations.known
        self.agents = self._agents.known
        self.identities = self._identities.known
        self.series = self._series.known

    def use_generation(self, generation: object) -> None:
        """Forgets all when the tables are no longer those that it came from."""
        if generation != self._generation:
            for known in (self.operations, self.agents, self.identities, self.series):
                known.clear()
            self.forgotten += 1
        self._generation = generation

    def learn(
        self, cursor: Cursor, operations: Iterable[Operation], agents: Iterable[str], identities: Iterable[Identity]
    ) -> None:
        """Makes these known, in autocommit, and forgets what was known where it is too much."""
        for known in (self.operations, self.agents, self.identities, self.series):
            if len(known) > self.remembered:
                known.clear()
        known_operations, known_agents, known = self.operations, self.agents, self.identities
        self._operations.learn(
            cursor,
            {
                one: {"content_key": hash_key(encode_json(one)), **one._asdict()}
                for one in operations
                if one not in known_operations
            },
        )
        self._agents.learn(
            cursor,
            {
                agent: {"content_key": hash_key(agent.encode()), "user_agent": agent}
                for agent in agents
                if agent not in known_agents
            },
        )
        self._identities.learn(
            cursor,
            {one: {"content_key": make_content_key(one), **one._asdict()} for one in identities if one not in known},
        )

    def learn_series(self, cursor: Cursor, owners: Mapping[Labels, tuple[Identity | None, Identity | None]]) -> None:
        """Makes series known, each with its user and its company, who are known already."""
        identities = self.identities
        rows = {}
        for labels, (user, company) in owners.items():
            if labels not in self.series:
                others = dict(labels)
                rows[labels] = {
                    "content_key": hash_key(encode_json(labels)),
                    "name": others.pop("__name__"),
                    "labels": others,
                    "identity_id": None if user is None else identities[user],
                    "company_id": None if company is None else identities[company],
                }
        self._series.learn(cursor, rows)


def find_owners(labels: Labels) -> tuple[Identity | None, Identity | None]:
    """The user and the company whom the labels user_id and company_id name."""
    given = dict(labels)
    user, company = given.get("user_id", ""), given.get("company_id", "")
    return (
        Identity(USER, user) if 0 < len(user) <= LONGEST_INDEXED else None,
        Identity(COMPANY, company) if 0 < len(company) <= LONGEST_INDEXED else None,
    )
