"""The API's routes. A module that answers requests declares its own; here they come together."""

from query_events import events_message
from query_events.openapi import add_document
from query_events.routing import RouteTable

ROUTES = add_document((*events_message.ROUTES,))
TABLE = RouteTable(ROUTES)
