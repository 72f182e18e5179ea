"""The API's routes. A module that answers requests declares its own; here they come together."""

from query_events import (
    batches,
    change_schemas,
    cohort_history,
    cohort_members,
    cohorts,
    deliveries,
    documentation,
    effects,
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
    templates,
    traits,
    usage,
    usage_retention,
    waiting,
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
        *waiting.ROUTES,
        *effects.ROUTES,
        *deliveries.ROUTES,
        *suppressions.ROUTES,
        *templates.ROUTES,
        *cohort_members.ROUTES,
        *cohort_history.ROUTES,
    )
)
TABLE = RouteTable(ROUTES, change_schemas.METHODS)
