"""The API's routes. A module that answers requests declares its own; here they come together."""

from query_events import (
    batches,
    cohort_history,
    cohort_members,
    cohorts,
    documentation,
    events_message,
    exports,
    message_events,
    messages,
    metrics,
    notifications,
    originals,
    people,
    quarantine,
    recipients,
    samples,
    suppressions,
    traits,
    usage,
    usage_retention,
)
from query_events.openapi import add_document
from query_events.routing import RouteTable

ROUTES = add_document(
    (
        *events_message.ROUTES,
        *message_events.ROUTES,
        *documentation.ROUTES,
        *recipients.ROUTES,
        *people.ROUTES,
        *traits.ROUTES,
        *messages.ROUTES,
        *originals.ROUTES,
        *batches.ROUTES,
        *quarantine.ROUTES,
        *metrics.ROUTES,
        *usage.ROUTES,
        *usage_retention.ROUTES,
        *samples.ROUTES,
        *exports.ROUTES,
        *cohorts.ROUTES,
        *notifications.ROUTES,
        *suppressions.ROUTES,
        *cohort_members.ROUTES,
        *cohort_history.ROUTES,
    )
)
TABLE = RouteTable(ROUTES)
