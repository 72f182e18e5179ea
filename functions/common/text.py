"""Texts as Postgres takes them."""


def clean_text(text: str) -> str:
    """A text in which a NUL or half a surrogate pair, which nothing stored can hold, has become U+FFFD."""
    return text.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")
