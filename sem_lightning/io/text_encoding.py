"""The encoding of text files that spreadsheets and microscopes write."""

import codecs

UTF_8 = "utf-8-sig"


def find_encoding(data: bytes) -> str:
    """UTF-16, with a mark or told by the zero in its first letter, or else UTF-8."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in data[:2]:
        return "utf-16-be" if data[:1] == b"\0" else "utf-16-le"
    return UTF_8
