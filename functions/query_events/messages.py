"""`GET /api/v1/messages/{message_id}`: what became of one message, for each of its recipients."""

from typing import Final

from common.errors import ApiError
from common.json_text import encode_json
from query_events.lookup_schemas import MESSAGES
from query_events.masking import mask_result
from query_events.own_parameters import read_own
from query_events.routing import READ_EVENTS, READ_PII, Input, Request, Route
from query_events.sizes import fit
from query_events.timelines import COUNT_RECIPIENTS, MOST_RECIPIENTS, OF_MESSAGE, read_messages, show_message

PATH: Final = "/api/v1/messages/{message_id}"


def answer_message(request: Request) -> bytes:
    """The JSON of `{"results": {"message_id", "recipient_count", "messages"}}`. Raises `ApiError`.

    A message to many recipients shows the first of them, by address.
    """
    message_id = request.path_values["message_id"].strip()
    read_own(request.given, ())
    values = {"message": message_id, "most": MOST_RECIPIENTS}
    with request.connect().cursor() as database:
        messages = read_messages(database, OF_MESSAGE, values)
        count = len(messages)
        if count == MOST_RECIPIENTS:
            database.execute(COUNT_RECIPIENTS, values)
            ((count,),) = database.fetchall()
    if not messages:
        raise ApiError(404, "Not found", "Nothing is known of this message.", "1101")
    results = {"message_id": message_id, "recipient_count": count}
    entries = [show_message(message) for message in messages]
    if not request.caller.may(READ_PII):
        results, entries = mask_result(results), [mask_result(entry) for entry in entries]
    return encode_json({"results": {**results, "messages": fit(entries)}})


ROUTES = (
    Route(
        PATH,
        READ_EVENTS,
        answer_message,
        summary="One message: what became of it, for each of its recipients",
        inputs=(Input("message_id", "the provider's id of the message"),),
        result=MESSAGES,
        refusals=(400, 404),
        slashes=True,
    ),
)
