"""Lets whoever got a mail end them: by one click of a mail program (RFC 8058), or on a page."""
