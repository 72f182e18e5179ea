"""Batches of behaviour, one transaction: their rows, their activities, profiles and links, and what was set aside.

As with events, the common case is one COPY; where that meets a conflict it is done again through a temporary table,
batch by batch.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from operator import attrgetter
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import cursor as Cursor

from common.activities import COMPANY, Identity, Link, Profile
from common.events import Json
from common.json_text import decode_json, encode_json
from providers._fields import clean
from s3_loader.activity_rows import COLUMNS, SAMPLE_COLUMNS, render_activities, render_samples
from s3_loader.batches import Batch, Limits
from s3_loader.contents import (
    Content,
    count_calls,
    count_items,
    count_samples,
    find_late_hours,
    join_contents,
    list_hours,
    list_weeks,
    read_content,
)
from s3_loader.loading import COMMIT, CONFLICTS, SAVE_BATCH, Load, Outcome, save_batch
from s3_loader.prepared import PreparedStatements, Statement
from s3_loader.regular_calls import open_scanner
from s3_loader.rows import copy_rows
from s3_loader.short_keys import ShortKeys, find_owners
from s3_loader.touched import CHANGE, Touched
from s3_loader.traits import COMPANY_PATH, build_traits, find_company, list_writes, merge_writes
from sources import Source

COPY_ACTIVITIES = f"COPY activities ({COLUMNS}) FROM STDIN (FORMAT binary)"
COPY_INCOMING = f"COPY incoming_activities ({COLUMNS}) FROM STDIN (FORMAT binary)"
CREATE_INCOMING = "CREATE TEMPORARY TABLE incoming_activities (LIKE activities) ON COMMIT DROP"
INSERT_INCOMING = f"""
INSERT INTO activities ({COLUMNS}) SELECT {COLUMNS} FROM incoming_activities ORDER BY occurred_at, activity_key
ON CONFLICT DO NOTHING RETURNING occurred_at
"""
COPY_SAMPLES = f"COPY samples ({SAMPLE_COLUMNS}) FROM STDIN (FORMAT binary)"
COPY_INCOMING_SAMPLES = f"COPY incoming_samples ({SAMPLE_COLUMNS}) FROM STDIN (FORMAT binary)"
CREATE_INCOMING_SAMPLES = "CREATE TEMPORARY TABLE incoming_samples (LIKE samples) ON COMMIT DROP"
INSERT_INCOMING_SAMPLES = f"""
INSERT INTO samples ({SAMPLE_COLUMNS}) SELECT {SAMPLE_COLUMNS} FROM incoming_samples ORDER BY series_id, sampled_at
ON CONFLICT DO NOTHING RETURNING sampled_at
"""
# The lock comes before the look: the summariser announces hours, then waits until nobody holds it. What is older than
# the end of the last announced one changes an hour that is packed already.
BEGIN = """
BEGIN;
LOCK TABLE ONLY activities IN ROW EXCLUSIVE MODE;
SELECT max(hour) + interval '1 hour' FROM usage_hours
"""
MARK_STALE = "INSERT INTO usage_stale_hours (hour) SELECT unnest(%s::timestamptz[])"
# Truncating a table gives it another file: then what a loader remembers of it is untrue.
LOOK = """
SELECT (SELECT coalesce(json_object_agg(object_key, batch_id), '{}') FROM batches WHERE object_key = ANY (%s)),
       ARRAY(SELECT nextval('batches_batch_id_seq') FROM generate_series(1, %s::int)),
       ARRAY[pg_relation_filenode('operations'), pg_relation_filenode('agents'),
             pg_relation_filenode('identities'), pg_relation_filenode('series')]::text
"""
# The lock of link_identities, before the look: so that whom somebody is taken from is known also where two loads do so.
LOCK_LINKS = "SELECT pg_advisory_xact_lock(hashtext('link_identities'))"
FIND_PERSONS = "SELECT person_id FROM identities WHERE identity_id = ANY (%s)"
LINK = "SELECT link_identities(%s)"
WRITE_TRAITS = "SELECT write_traits(%s)"
# Sorted, as all that takes locks on rows.
MAKE_PROFILES = """
INSERT INTO profiles SELECT unnest(%(ids)s), '{}', '{}' ON CONFLICT DO NOTHING;
SELECT identity_id, writes::text FROM profiles WHERE identity_id = ANY (%(ids)s) ORDER BY identity_id FOR UPDATE
"""
SAVE_PROFILES = """
UPDATE profiles SET traits = given.traits, writes = given.writes
FROM json_to_recordset(%s) AS given (identity_id int, traits jsonb, writes jsonb)
WHERE profiles.identity_id = given.identity_id
"""


class BehaviourLoader:
    """Loads batches; `replay` loads a batch again that is loaded already."""

    def __init__(self) -> None:
        self.keys = ShortKeys()
        self._scanner = open_scanner(self.keys)
        self._prepared = PreparedStatements([LOOK, SAVE_BATCH, CHANGE], "behaviour")

    def read(self, source: Source, batch: Batch, limits: Limits) -> Content:
        """What a batch says, for this loader alone: API calls as scans of its own."""
        return read_content(source, batch, limits, self._scanner)

    def load(self, connection: Connection, batch: Batch, content: Content, *, replay: bool = False) -> Load:
        """Loads a batch whole or not at all. Raises `psycopg2.Error` with the transaction rolled back."""
        try:
            return self._load(connection, batch, content, replay=replay, anew=not replay)
        except psycopg2.Error as failure:
            if replay or failure.pgcode not in CONFLICTS:
                raise
            return self._load(connection, batch, content, replay=replay, anew=False)

    def load_together(
        self,
        connection: Connection,
        aside: Connection,
        batches: Sequence[Batch],
        read: Callable[[Batch], Content | None],
    ) -> dict[str, Load]:
        """Loads batches, of objects of their own, in one transaction: all or none. Returned by their objects' keys.

        What a batch says is read when it is its turn, None to leave it out: so the database takes one in while the next
        is read, and is asked over `aside` for the keys that are new. Raises `psycopg2.Error` also where a batch holds
        something that is there already.
        """
        aside.autocommit = True
        with connection.cursor() as cursor, aside.cursor() as asking:
            known, ids = self._look(connection, cursor, batches)
            loads = dict.fromkeys(known, Load(Outcome.ALREADY_LOADED))
            if len(known) == len(batches):
                return loads
            contents: list[Content] = []
            statements: list[Statement] = []
            touched = Touched()

            def render() -> Iterator[bytes]:
                for batch, batch_id in zip(batches, ids, strict=True):
                    content = None if batch.object_key in known else read(batch)
                    if content is None:
                        continue
                    self._learn(asking, content)
                    yield from self._render(content, batch_id)
                    contents.append(content)
                    self._find_touched(content, touched)
                    load = Load(Outcome.LOADED, count_items(content), 0, len(content.unparseable), content.expired)
                    loads[batch.object_key] = load
                    statements.extend(save_batch(batch, batch_id, load, None))
                    statements.extend(content.unparseable.build(batch))

            with self._transact(cursor) as late_before:
                copy_rows(cursor, COPY_ACTIVITIES, render())
                whole = join_contents(contents)
                self._learn(asking, whole._replace(activities=[], scans=()))  # what was forgotten since
                times = [*(one.occurred_at for one in whole.activities), *list_hours(whole)]
                self._copy_samples(cursor, whole, anew=True)
                self._commit(cursor, whole, touched, [*statements, *_mark_stale(times, late_before)])
            return loads

    def _load(self, connection: Connection, batch: Batch, content: Content, *, replay: bool, anew: bool) -> Load:
        with connection.cursor() as cursor:
            known, (new_id,) = self._look(connection, cursor, [batch])
            found = known.get(batch.object_key)
            if found is not None and not replay:
                return Load(Outcome.ALREADY_LOADED)
            self._learn(cursor, content)
            if not anew:
                for table, week in list_weeks(content):  # each in a transaction of its own
                    cursor.execute(f"SELECT create_{table}_partition(%s)", (week,))
            touched = Touched()
            self._find_touched(content, touched)
            with self._transact(cursor) as late_before:
                rows = self._render(content, new_id if found is None else found)
                times, duplicates = self._copy_activities(cursor, content, rows, anew=anew)
                duplicates += self._copy_samples(cursor, content, anew=anew)
                aside, expired = len(content.unparseable), content.expired
                load = Load(Outcome.LOADED, count_items(content), duplicates, aside, expired)
                statements = [*save_batch(batch, new_id, load, found), *content.unparseable.build(batch)]
                self._commit(cursor, content, touched, [*statements, *_mark_stale(times, late_before)])
            return load

    def _look(
        self, connection: Connection, cursor: Cursor, batches: Sequence[Batch]
    ) -> tuple[dict[str, int], list[int]]:
        """The ids of those that are loaded, by their objects' keys, and a new id for each."""
        connection.autocommit = True
        self._prepared.use(connection)
        look = LOOK, ([batch.object_key for batch in batches], len(batches))
        cursor.execute(self._prepared.build(cursor, [look]))
        ((known, ids, generation),) = cursor.fetchall()
        self.keys.use_generation(generation)
        return known, ids

    @contextmanager
    def _transact(self, cursor: Cursor) -> Iterator[datetime | None]:
        """Begins a transaction, and ends it where it fails. Gives the end of the last hour that is packed."""
        try:
            cursor.execute(BEGIN)
            ((late_before,),) = cursor.fetchall()
            yield late_before
        except BaseException:
            if not cursor.connection.closed:
                cursor.execute("ROLLBACK")
            raise

    def _commit(self, cursor: Cursor, content: Content, touched: Touched, statements: Iterable[Statement]) -> None:
        self._link(cursor, content.links, touched)
        self._save_profiles(cursor, content.profiles)
        cursor.execute(self._prepared.build(cursor, [*statements, *touched.build(), COMMIT]))

    def _learn(self, cursor: Cursor, content: Content) -> None:
        activities = content.activities
        identities = {one.identity for one in activities if one.identity is not None}
        companies = {one.company for one in activities if one.company is not None}
        identities |= {Identity(COMPANY, company) for company in companies}
        identities |= {profile.identity for profile in content.profiles}
        identities |= {company for profile in content.profiles if (company := find_company(profile)) is not None}
        for link in content.links:
            identities |= {link.origin, link.user}
        owners = {one.labels: find_owners(one.labels) for one in content.series}
        identities |= {owner for pair in owners.values() for owner in pair if owner is not None}
        operations = {one.operation for one in activities}
        agents = {one.agent for one in activities if one.agent is not None}
        scanner = self._scanner
        if scanner is not None:
            scanner.renew(content.scans)
            unknown = scanner.list_unknown()
            operations, agents, identities = operations | unknown[0], agents | unknown[1], identities | unknown[2]
        self.keys.learn(cursor, operations, agents, identities)
        if scanner is not None:
            scanner.learn()
        self.keys.learn_series(cursor, owners)

    def _render(self, content: Content, batch_id: int) -> Iterator[bytes]:
        """The rows of a batch's activities; all keys are known."""
        for scanned in content.scans:
            yield scanned.render(batch_id)
        yield from render_activities(content.activities, batch_id, self.keys)

    def _copy_activities(
        self, cursor: Cursor, content: Content, rows: Iterable[bytes], *, anew: bool
    ) -> tuple[list[datetime], int]:
        """The times of those that were new, of scans the hours, and how many were there already."""
        times = [*(one.occurred_at for one in content.activities), *list_hours(content)]
        count = len(content.activities) + count_calls(content)
        if count and anew:
            copy_rows(cursor, COPY_ACTIVITIES, rows)
        elif count:
            times = _copy_through(cursor, CREATE_INCOMING, COPY_INCOMING, INSERT_INCOMING, rows)
        return times, 0 if anew else count - len(times)

    def _copy_samples(self, cursor: Cursor, content: Content, *, anew: bool) -> int:
        """How many were there already."""
        rows = (render_samples(one, self.keys.series[one.labels]) for one in content.series)
        if content.series and anew:
            copy_rows(cursor, COPY_SAMPLES, rows)
        elif content.series:
            steps = CREATE_INCOMING_SAMPLES, COPY_INCOMING_SAMPLES, INSERT_INCOMING_SAMPLES
            return count_samples(content) - len(_copy_through(cursor, *steps, rows))
        return 0

    def _find_touched(self, content: Content, touched: Touched) -> None:
        """Of whom a batch says something; links apart."""
        identities = self.keys.identities
        # The last first, so that the earliest time stays.
        newest_first = sorted(content.activities, key=attrgetter("occurred_at"), reverse=True)
        for user, at in {one.identity: one.occurred_at for one in newest_first}.items():
            if user is not None:
                touched.add(identities[user], at)
        for company, at in {one.company: one.occurred_at for one in newest_first}.items():
            if company is not None:
                touched.add(identities[Identity(COMPANY, company)], at)
        for scanned in content.scans:
            touched.add_active(scanned.find_touched())
        for profile in content.profiles:
            if profile.traits:
                touched.add(identities[profile.identity], profile.at)

    def _link(self, cursor: Cursor, links: Iterable[Link], touched: Touched) -> None:
        """Adds the facts of a batch, of each the first or the last."""
        facts: dict[tuple[int, int, str], datetime] = {}
        choose: dict[str, Any] = {"last": max}
        for link in links:
            fact = (self.keys.identities[link.origin], self.keys.identities[link.user], link.rule)
            if fact[0] != fact[1]:
                facts[fact] = choose.get(link.rule, min)(facts.get(fact, link.at), link.at)
        if facts:
            rows = [
                {"from_id": origin, "to_id": user, "rule": rule, "at": at}
                for (origin, user, rule), at in sorted(facts.items())
            ]
            linked = sorted({identity for origin, user, _ in facts for identity in (origin, user)})
            cursor.execute(LOCK_LINKS)
            cursor.execute(FIND_PERSONS, (linked,))
            touched.add_linked([*linked, *(person for (person,) in cursor.fetchall())])
            cursor.execute(LINK, (encode_json(rows).decode(),))

    def _save_profiles(self, cursor: Cursor, profiles: Iterable[Profile]) -> None:
        """Merges what was said into what is known."""
        said: dict[int, list[Profile]] = {}
        for profile in profiles:
            said.setdefault(self.keys.identities[profile.identity], []).append(profile)
        if not said:
            return
        cursor.execute(MAKE_PROFILES, {"ids": sorted(said)})
        saved = []
        for identity_id, text in cursor.fetchall():
            writes = decode_json(text.encode())
            for profile in said[identity_id]:
                merge_writes(writes, clean(profile.traits), profile.at)
            saved.append({"identity_id": identity_id, "traits": build_traits(writes), "writes": writes})
        cursor.execute(SAVE_PROFILES, (json.dumps(saved),))
        writes = [write for _, of in sorted(said.items()) for profile in of for write in self._show_writes(profile)]
        if writes:
            cursor.execute(WRITE_TRAITS, (json.dumps(writes, default=str),))

    def _show_writes(self, profile: Profile) -> Iterator[Json]:
        company = find_company(profile)
        for path, value in list_writes(clean(profile.traits)):
            write = {"path": path, "at": profile.at, "value": encode_json(value).decode()}
            if company is not None and path == COMPANY_PATH:
                write["company_id"] = self.keys.identities[company]
            yield {"identity_id": self.keys.identities[profile.identity], **write}


def _copy_through(cursor: Cursor, create: str, copy: str, insert: str, rows: Iterable[bytes]) -> list[datetime]:
    """Copies rows through a temporary table. Returns the times of those that were new."""
    cursor.execute(create)
    copy_rows(cursor, copy, rows)
    cursor.execute(insert)
    return [at for (at,) in cursor.fetchall()]


def _mark_stale(times: Iterable[datetime], late_before: datetime | None) -> Iterator[Statement]:
    if late_hours := find_late_hours(times, late_before):
        yield MARK_STALE, (late_hours,)
