"""Reports as self-contained HTML pages: style and pictures are embedded, and nothing is loaded from elsewhere."""

import base64
from pathlib import Path
from typing import Any

from sem_lightning.io.atomic import printable, write_atomically
from sem_lightning.version import PACKAGE_FOLDER


def write_html(path: Path, template: str, variables: dict[str, Any]) -> None:
    """Fill a template and write the page atomically.

    Args:
        path: The output file.
        template: Path of the template inside the package; it extends ``io/page.html.j2``.
        variables: Its variables; texts are escaped.
    """
    text = render_html(template, variables)
    # names of files may hold bytes that are not UTF-8
    write_atomically(path, lambda temporary: temporary.write_bytes(text.encode("utf-8", "replace")))


def render_html(template: str, variables: dict[str, Any]) -> str:
    """The page that `write_html` writes."""
    import jinja2  # takes long to import, and images are read without

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PACKAGE_FOLDER), autoescape=True, undefined=jinja2.StrictUndefined
    )
    return environment.get_template(template).render(variables)


def data_uri(picture: bytes, kind: str = "png") -> str:
    """An encoded picture as the address of an image."""
    return f"data:image/{kind};base64," + base64.b64encode(picture).decode("ascii")


def in_words(value: Any) -> str:
    """A fact as text: values of a list beside each other, those of a mapping with their keys."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {one}" for key, one in value.items())
    return printable(" ".join(map(str, value)) if isinstance(value, list) else str(value))
