"""Which class number a decision gets."""

from pathlib import Path

import pytest

from sem_lightning.errors import SettingError
from sem_lightning.klarf.class_numbers import find_class_numbers

CLASSES = ("good", "gap", "bridge")
LOOKUP = {0: "Unclassified", 3: "GOOD", 7: "Gap", 9: "bridge", 12: "Micro Bridge", 20: "Bridge"}


def test_names_of_the_file_are_taken_without_a_mapping() -> None:
    assert find_class_numbers(None, LOOKUP, CLASSES) == {"good": 3, "gap": 7, "bridge": 9}  # of two the lowest
    assert find_class_numbers(None, LOOKUP | {99: "Unsure"}, CLASSES)["unsure"] == 99
    assert find_class_numbers(None, LOOKUP, ("good", "micro_bridge")) == {"good": 3, "micro_bridge": 12}
    with pytest.raises(
        SettingError, match=r"^klarf.classes: needs a value, because ClassLookup names no class good; name"
    ):
        find_class_numbers(None, {0: "Unclassified"}, CLASSES)


def test_a_mapping_gives_numbers_or_names_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("good: 0\ngap: Micro Bridge\nbridge: 2\nunsure: null\n")
    assert find_class_numbers(file, LOOKUP, CLASSES) == {"good": 0, "gap": 12, "bridge": 2}
    file.write_text("good: null\ngap: 1\nbridge: 2\nunsure: 3\n")
    assert find_class_numbers(file, {}, CLASSES) == {"gap": 1, "bridge": 2, "unsure": 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("good: 0\ngap: 1\n", "has no number for bridge, expected one for each of good, gap, bridge"),
        ("good: 0\ngap: 1\nbridge: 2\nscratch: 4", "found 'scratch', expected good, gap, bridge, unsure"),
        ("good: 0\ngap: 1\nbridge: -2", "bridge: found -2, expected a whole number from 0 to 2147483647, or a name"),
        ("good: 0\ngap: 1\nbridge: true", "bridge: found True, expected"),
        ("good: 0\ngap: 1\nbridge: Blob", "bridge: found 'Blob', expected"),
        ("good: 0\ngap: 1\nbridge: [1]", "bridge: found [1], expected"),
        ("[1, 2]", "found no names with numbers, expected lines such as 'gap: 7'"),
        ("", "found no names with numbers"),
        ("a: [", "is no YAML"),
        ("[" * 20000, "is no YAML"),
        ("\0", "is no YAML"),
        ("!!python/object/apply:os.system ['true']", "is no YAML"),
        ("#" * 70000, "more than 64 KiB"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(SettingError) as error:
        find_class_numbers(tmp_path / "a.yaml", {}, CLASSES)
    assert str(error.value).startswith(f"klarf.classes: {tmp_path}/a.yaml: {message}") and "\n" not in str(error.value)


def test_a_mapping_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="No such file"):
        find_class_numbers(tmp_path / "none.yaml", {}, CLASSES)
