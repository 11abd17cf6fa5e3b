"""Reads tables that people and spreadsheets write: lists of files with what belongs to each."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sem_lightning.errors import UserError
from sem_lightning.io.text_encoding import find_encoding


@dataclass(frozen=True)
class Row:
    """A line of a table: its number, and its cells by column."""

    number: int
    cells: dict[str, str]


def read_table(table: Path, synonyms: Mapping[str, Sequence[str]], required: Sequence[str], expected: str) -> list[Row]:
    """The lines of a table that hold something, in its order.

    Cells are separated by commas, semicolons or tabs, and spaces around them do not count; the text is UTF-8 or UTF-16.

    Args:
        table: The file.
        synonyms: Names that a column may have, by our name for it; capitals and spaces make no difference.
        required: Columns, by our names, that must be there.
        expected: What the first line should hold, for the error.

    Raises:
        UserError: No table in such an encoding, a column that is missing, or a line with too many cells.
    """
    try:
        data = table.read_bytes()
        text = data.decode(find_encoding(data))
        if text.startswith("sep="):  # spreadsheets
            text = text.partition("\n")[2]
        head = text.partition("\n")[0]
        separator = max(",;\t", key=head.count)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
        found = [cell.strip() for cell in next(reader, [])]
        columns = _name_columns(found, synonyms)
        if not set(required) <= set(columns):
            raise UserError(f"{table}: found the columns {', '.join(found) or 'none'}; {expected}")
        rows = []
        for cells in reader:
            stripped = [cell.strip() for cell in cells]
            if not any(stripped):
                continue
            if len(stripped) > len(columns) and any(stripped[len(columns) :]):
                raise UserError(
                    f"{table}, line {reader.line_num}: found {len(stripped)} cells, expected {len(columns)}; put a "
                    f"name that holds {separator!r} in double quotes"
                )
            rows.append(Row(reader.line_num, dict(zip(columns, stripped, strict=False))))
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{table}: not a CSV file in UTF-8 or UTF-16 ({error})") from None
    return rows


def _name_columns(found: list[str], synonyms: Mapping[str, Sequence[str]]) -> list[str]:
    """Our names of the columns; others keep theirs."""
    plain = [name.lower().replace(" ", "_") for name in found]
    names = list(found)
    for ours, others in synonyms.items():
        places = [plain.index(each) for each in others if each in plain]
        if places:
            names[places[0]] = ours  # our own name comes before another that means the same
    return names


def with_slashes(folder: Path, name: str) -> str:
    """A file's name in a table of ``folder`` with slashes, unless a file has backslashes in its name."""
    return name if "\\" not in name or (folder / name).exists() else name.replace("\\", "/")
