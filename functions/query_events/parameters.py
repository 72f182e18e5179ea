"""The declared table of the search's parameters: name, form of the value, what it asks of an event, meaning.

Adding a filter is adding a row (docs/api.md has the recipe). A name means the same in both dialects. Before a filter's
name, `not.` finds the events without it, `prefix.` what begins like it, `not.prefix.` what does not.
"""

from enum import Enum
from typing import Final, NamedTuple

from common.events import BOUNCE_KINDS, EVENT_TYPES
from query_events import values as forms
from query_events.conditions import (
    Filter,
    bind,
    clients,
    contains_any,
    events,
    filter_bounce_classes,
    filter_event_ids,
    filter_folded,
    filter_metadata,
    filter_plain,
    filter_recipients,
    filter_subaccounts,
    filter_tags,
    filter_text,
    filter_types,
    filter_words,
    find_sending_domain,
    kinds,
    mailings,
    receivers,
    senders,
)
from query_events.keywords import DOMAINS, TERMS, WORDS
from query_events.values import Form

DEFAULT_PAGE: Final = 1_000
METADATA: Final = "metadata.<key>"
NEGATION: Final = "not."
PREFIX: Final = "prefix."


class Dialect(Enum):
    """SparkPost's two searches: `/events/message` and the older `/message-events`."""

    EVENTS = "events"
    V1 = "v1"


BOTH: Final = frozenset(Dialect)
_V1: Final = frozenset({Dialect.V1})


class Parameter(NamedTuple):
    """One row. One without a filter says something about the search itself."""

    name: str
    form: Form
    filter: Filter | None
    meaning: str
    aliases: tuple[str, ...] = ()
    dialects: frozenset[Dialect] = BOTH  # others ignore it
    needs: tuple[str, ...] = ()  # one of these must be given too
    separator: str | None = None  # of words; None: the whole value counts
    ours: bool = False  # not SparkPost's

    @property
    def forms(self) -> tuple[str, ...]:
        """What may stand before the name."""
        if self.filter is None or not self.form.is_list:
            return ()
        return (NEGATION, PREFIX, NEGATION + PREFIX) if self.filter.begins else (NEGATION,)


def _word_row(name: str, condition: Filter, meaning: str, separator: str = WORDS, *, ours: bool = False) -> Parameter:
    return Parameter(name, forms.keywords(separator), condition, meaning, separator=separator, ours=ours)


TABLE: Final = (
    # The range and the page.
    Parameter(
        "from",
        forms.TIME,
        Filter(events, lambda name: events.occurred_at >= bind(name)),
        "the first instant, inclusive",
    ),
    Parameter(
        "to", forms.TIME, Filter(events, lambda name: events.occurred_at < bind(name)), "the last instant, exclusive"
    ),
    Parameter("timezone", forms.ZONE, None, "of times without a zone, an IANA name", dialects=_V1),
    Parameter("per_page", forms.SIZE, None, "results of one page, 1 to 10,000"),
    Parameter("page", forms.PAGE, None, "which page, from 1 on", dialects=_V1),
    Parameter("cursor", forms.PLAIN, None, "`initial`, or what a page's link holds"),
    Parameter(
        "total",
        forms.TOTAL,
        None,
        "`none` does not count all that match: `total_count` is null, and a frequent value is answered sooner",
        dialects=frozenset({Dialect.EVENTS}),
        ours=True,
    ),
    Parameter("delimiter", forms.PLAIN, None, "what separates the values of every list"),
    # SparkPost's filters.
    Parameter("events", forms.TEXTS, filter_types(), "types of event, in SparkPost's words or the provider's"),
    Parameter("event_ids", forms.EVENT_IDS, filter_event_ids(), "ids of events"),
    Parameter("recipients", forms.ADDRESSES, filter_recipients(), "addresses, in any case"),
    Parameter(
        "from_addresses",
        forms.FOLDED,
        filter_folded(senders, senders.address),
        "senders' addresses, in any case",
        aliases=("friendly_froms",),
    ),
    Parameter("bounce_classes", forms.NUMBERS, filter_bounce_classes(), "SparkPost's numbers of bounce classes"),
    _word_row("reasons", filter_words(events, events.reason), "words of the receiving server's reason"),
    Parameter(
        "reason",
        forms.WILDCARD,
        Filter(events, contains_any(events.reason)),
        "a part of the reason in any case; `%` in it stands for anything",
    ),
    _word_row("campaigns", filter_words(mailings, mailings.campaign), "words of the campaign"),
    Parameter("campaign_ids", forms.TEXTS, filter_text(mailings, "campaign"), "campaigns"),
    _word_row("templates", filter_words(mailings, mailings.template), "words of the template's id"),
    Parameter("template_ids", forms.TEXTS, filter_text(mailings, "template"), "ids of templates"),
    Parameter("messages", forms.IDS, filter_text(events, "message_id"), "ids of messages", aliases=("message_ids",)),
    Parameter(
        "transmissions",
        forms.TEXTS,
        filter_text(events, "transmission_id"),
        "ids of transmissions",
        aliases=("transmission_ids",),
    ),
    Parameter(
        "subaccounts",
        forms.TEXTS,
        filter_subaccounts(),
        "subaccounts; `0` is the primary account",
    ),
    _word_row("ab_tests", filter_words(mailings, mailings.ab_test), "words of the A/B test's id"),
    Parameter("ab_test_ids", forms.TEXTS, filter_text(mailings, "ab_test"), "ids of A/B tests"),
    Parameter(
        "ab_test_versions",
        forms.TEXTS,
        filter_text(mailings, "ab_test_version"),
        "versions of A/B tests; needs `ab_tests`",
        needs=("ab_tests", "ab_test_ids"),
    ),
    _word_row(
        "recipient_domains",
        filter_words(receivers, receivers.domain, DOMAINS),
        "words of the recipient's domain",
        DOMAINS,
    ),
    _word_row(
        "sending_domains",
        filter_words(senders, find_sending_domain(senders.address, senders.shared), DOMAINS),
        "words of the sender's domain",
        DOMAINS,
    ),
    _word_row("subjects", filter_words(mailings, mailings.subject), "words of the subject"),
    Parameter("sending_ips", forms.TEXTS, filter_text(senders, "sending_ip"), "addresses that mails were sent from"),
    _word_row("ip_pools", filter_words(senders, senders.ip_pool), "words of the IP pool"),
    _word_row(
        "mailbox_providers", filter_words(receivers, receivers.mailbox_provider), "words of who keeps the mailbox"
    ),
    _word_row(
        "mailbox_provider_regions",
        filter_words(receivers, receivers.mailbox_provider_region),
        "words of the region of who keeps the mailbox",
    ),
    # Ours.
    Parameter(
        "event_types",
        forms.one_of(EVENT_TYPES),
        filter_plain(kinds, kinds.event_type),
        "types of event, in our words",
        ours=True,
    ),
    Parameter(
        "bounce_kinds", forms.one_of(BOUNCE_KINDS), filter_plain(kinds, kinds.bounce_kind), "kinds of bounce", ours=True
    ),
    Parameter(
        "providers",
        forms.one_of(forms.PROVIDERS),
        filter_plain(kinds, kinds.provider),
        "who sent the mail and told of it",
        ours=True,
    ),
    Parameter("tags", forms.TEXTS, filter_tags(), "tags of the mailing", ours=True),
    Parameter("urls", forms.TEXTS, filter_text(events, "url"), "links that were clicked", ours=True),
    Parameter(
        "ip_addresses",
        forms.TEXTS,
        filter_text(events, "ip_address"),
        "of who opened or clicked, or of the receiving server",
        ours=True,
    ),
    _word_row(
        "user_agents", filter_words(clients, clients.user_agent, TERMS), "words of the user agent", TERMS, ours=True
    ),
    Parameter(
        METADATA,
        forms.ENTRY,
        filter_metadata(),
        "the value under a key of the sender's metadata, as text",
        ours=True,
    ),
)
PARAMETERS: Final = {row.name: row for row in TABLE}
