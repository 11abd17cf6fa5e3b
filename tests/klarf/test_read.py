"""Reading KLARF files of every version, and writing classes back without another change."""

import time
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_lots import Made, NestedStyle, Style, write_flat, write_nested

from sem_lightning.errors import SettingError, UserError
from sem_lightning.klarf import limits, read
from sem_lightning.klarf.read import KlarfFile, is_klarf, parse_klarf, read_klarf

NAMES = st.sampled_from(["a.tif", "b c.tif", "sub/d,{e}.jpg"])
COORDINATES = st.integers(-9_999_999, 9_999_999).map(lambda number: number / 1000)
FILE = st.shared(NAMES, key="file")


def images_of(name: str) -> st.SearchStrategy[list[tuple[str, int, str]]]:
    return st.lists(st.tuples(st.just(name), st.integers(0, 40), st.sampled_from(["0", "1"])), max_size=3)


DEFECTS = st.lists(
    st.builds(
        Made,
        number=st.integers(1, 5),  # repeats
        classified=st.integers(0, 300),
        die=st.tuples(st.integers(-20, 20), st.integers(-20, 20)),
        in_die=st.tuples(COORDINATES, COORDINATES),
        images=NAMES.flatmap(images_of),
    ),
    min_size=1,
    max_size=6,
)
STYLES = st.builds(
    Style,
    version=st.sampled_from(["1.1", "1.2"]),
    mark=st.sampled_from(["", "\ufeff"]),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    end=st.sampled_from(["last", "each", "alone"]),
    images=st.sampled_from(["same", "next", "count"]),
    none=st.sampled_from(["zero", "absent"]),
    tiff=st.sampled_from(["TiffFileName", "TiffFilename"]),
    columns=st.sampled_from([(), ("XSIZE", "DSIZE")]),
)
NESTED_STYLES = st.builds(
    NestedStyle,
    mark=st.sampled_from(["", "\ufeff"]),
    wrap=st.sampled_from([0, 1, 4]),
    space=st.sampled_from(["", " "]),
    last=st.sampled_from([";", ""]),
)
FILES = st.one_of(st.builds(write_flat, DEFECTS, STYLES), st.builds(write_nested, DEFECTS, NESTED_STYLES))


def check_read(found: KlarfFile, defects: list[Made]) -> None:
    assert [each.id for each in found.defects] == [str(each.number) for each in defects]
    assert [each.class_number() for each in found.defects] == [each.classified for each in defects]
    assert [each.class_number("FineBinNumber") for each in found.defects] == [4] * len(defects)
    assert [each.die for each in found.defects] == [each.die for each in defects]
    for one, other in zip(found.defects, defects, strict=True):
        assert one.in_die == pytest.approx([length / 1000 for length in other.in_die], abs=1e-9)
        assert [(each.name, each.number, each.kind) for each in one.images] == list(other.images)
        assert (one.wafer.lot, one.wafer.name, one.wafer.slot) == ("LOT 7", "W 03", "3")
    assert found.wafers[0].die_pitch == (8, 10) and found.wafers[0].diameter == 300 and found.wafers[0].mark == "DOWN"
    assert found.wafers[0].center == (4, 5)
    assert found.lookup == {0: "Unclassified", 1: "Good", 7: "Gap", 9: "Bridge"}


@settings(max_examples=60)
@given(defects=DEFECTS, style=STYLES)
def test_versions_1_1_and_1_2_are_read_in_every_style(defects: list[Made], style: Style) -> None:
    found = parse_klarf(write_flat(defects, style))
    assert found.version == style.version
    check_read(found, defects)


@settings(max_examples=60)
@given(defects=DEFECTS, style=NESTED_STYLES)
def test_version_1_8_is_read_in_every_style(defects: list[Made], style: NestedStyle) -> None:
    check_read(parse_klarf(write_nested(defects, style)), defects)


@given(data=FILES, chosen=st.dictionaries(st.integers(0, 5), st.integers(0, 2**31 - 1)),
       column=st.sampled_from(["CLASSNUMBER", "roughbinnumber"]))  # fmt: skip
def test_classes_are_written_and_nothing_else(data: bytes, chosen: dict[int, int], column: str) -> None:
    before = parse_klarf(data)
    assert before.with_classes({}).data == data
    chosen = {index: number for index, number in chosen.items() if index < len(before.defects)}
    after = before.with_classes(chosen, column)
    for one, other in zip(before.defects, after.defects, strict=True):
        assert other.class_number(column) == chosen.get(one.index, one.class_number(column))
    outside = [without_classes(each, column) for each in (before, after)]
    assert outside[0] == outside[1]
    back = {defect.index: defect.class_number(column) or 0 for defect in before.defects}
    assert after.with_classes(back, column).data == data


def without_classes(found: KlarfFile, column: str) -> list[bytes]:
    """The bytes between the cells of a column."""
    parts, done = [], 0
    for defect in found.defects:
        start, end = defect.span(column) or (0, 0)
        parts.append(found.data[done:start])
        done = end
    return [*parts, found.data[done:]]


@settings(max_examples=80)
@given(data=st.one_of(st.binary(max_size=200), st.binary(max_size=200).map(lambda raw: b"FileVersion 1 2;\n" + raw)))
def test_any_bytes_give_a_line_or_a_file(data: bytes) -> None:
    check_any(data)


WORDS = st.sampled_from(
    [b"FileVersion 1 1;", b'Record FileRecord "1.8"', b"{", b"}", b";", b",", b'"', b"\n", b"DefectList", b"Images 2 {",
     b"DefectRecordSpec 2 DEFECTID CLASSNUMBER;", b"DefectRecordSpec 3 A IMAGECOUNT IMAGELIST;", b"1", b"2 3",
     b"NA", b"-1",
     b"999999999999999999999", b"1e308", b"Columns 2 { int32 A, ImageList B }", b"Data 3 {", b"List DefectList {", b"N",
     b"Field X 2 {", b"Record WaferRecord", b"TiffFileName a;", b"ClassLookup 2", b"EndOfFile;", b"\xff", b"\0"]
)  # fmt: skip


@settings(max_examples=80)
@given(
    head=st.sampled_from([b"FileVersion 1 2;\n", b'Record FileRecord "1.8" {\n']), words=st.lists(WORDS, max_size=30)
)
def test_any_words_give_a_line_or_a_file(head: bytes, words: list[bytes]) -> None:
    check_any(head + b" ".join(words))


@settings(max_examples=80)
@given(data=FILES, place=st.floats(0, 1), cut=st.integers(0, 9), put=st.binary(max_size=9))
def test_a_damaged_file_gives_a_line_or_a_file(data: bytes, place: float, cut: int, put: bytes) -> None:
    at = round(place * len(data))
    check_any(data[:at] + put + data[at + cut :])


def check_any(data: bytes) -> None:
    try:
        found = parse_klarf(data)
    except UserError as error:
        assert str(error) and "\n" not in str(error)
        return
    for defect in found.defects:
        assert (defect.die, defect.in_die, defect.class_columns) is not None
        for column in defect.class_columns:
            assert found.with_classes({defect.index: 3}, column).defects[defect.index].class_number(column) == 3


FLAT = b"FileVersion 1 2;\nDefectRecordSpec 3 A IMAGECOUNT IMAGELIST;\nDefectList\n"
NESTED = b'Record FileRecord "1.8" { List DefectList { Columns 1 { '


@pytest.mark.parametrize(
    "data",
    [
        b"FileVersion 1 2;\nDefectRecordSpec 2 A CLASSNUMBER;DefectList " + b"TiffFileName a; 1 2;" * 5_000,
        FLAT + b"1 0;" * 10_000 + b"\n" + b"1 " * 10_000,
        FLAT + b"1 999999999 0\n" * 10_000,
        b"FileVersion 1 2;\nUnknown " + b"a " * 100_000,
        b"FileVersion 1 2;\nLotID" + b" " * 100_000,
        b"FileVersion 1 2;\n" + b"LotID\n" * 20_000,
        b'Record FileRecord "1.8"' + b"{ Record a " * 20_000,
        b'Record FileRecord "1.8" { List x ' + b"{" * 100_000,
        NESTED + b'int32 A } Data 9 { ' + b"1;" * 20_000 + b"}}}",
        NESTED + b'ImageList A } Data 9 { Images 1 { ' + b'"a",' * 20_000,
    ],
)  # fmt: skip
def test_time_and_memory_grow_with_the_file_alone(data: bytes) -> None:
    tracemalloc.start()
    started = time.process_time()
    try:
        check_quickly(data)
        assert time.process_time() - started < 20 * max(len(data) / 1e6, 0.2)
        assert tracemalloc.get_traced_memory()[1] < 400 * len(data)
    finally:
        tracemalloc.stop()


def check_quickly(data: bytes) -> None:
    try:
        parse_klarf(data)
    except UserError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "a.klarf: is no KLARF file"),
        (b"FileVersion 2 0;", "a.klarf: is of version 2.0, expected 1.1, 1.2 or 1.8"),
        (b'Record FileRecord "1.9" {', "a.klarf: is of version 1.9, expected"),
        (
            b"FileVersion 1 2;\nDefectList\n 1;",
            "a.klarf: line 2: found 'DefectList', expected DefectRecordSpec before it",
        ),
        (b"FileVersion 1 2;\nDefectRecordSpec 3 A B;", "a.klarf: line 2: found 'DefectRecordSpec', it announces 3"),
        (b"FileVersion 1 2;\nDefectRecordSpec 2 A B;\nDefectList\n1 2\n1;", "a.klarf: line 5: a row with fewer values"),
        (b"FileVersion 1 2;\nDefectRecordSpec 2 A B;\nDefectList\n1 2 3;", "a.klarf: line 4: a row with more values"),
        (b"FileVersion 1 2;\nDefectRecordSpec 2 A B;\nDefectList\n1", "a.klarf: line 4: the file ends within a row"),
        (b'Record FileRecord "1.8"\n{', "a.klarf: the file ends within a record; it may be truncated"),
        (b'Record FileRecord "1.8"\n{ Blob', "a.klarf: line 2: found 'Blob', expected Record, Field, List or }"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.klarf").write_bytes(data)
    with pytest.raises(UserError) as error:
        read_klarf(tmp_path / "a.klarf")
    assert str(error.value).startswith(f"{tmp_path}/{message}") and "\n" not in str(error.value)


def test_limits_come_before_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "large.klarf").open("wb") as stream:
        stream.truncate(limits.MAX_BYTES + 1)
    with pytest.raises(UserError, match="128 MiB, more than 128; cut it"):
        read_klarf(tmp_path / "large.klarf")
    with pytest.raises(UserError, match="No such file"):
        read_klarf(tmp_path / "none.klarf")
    with pytest.raises(UserError, match=r"is no file|directory"):
        read_klarf(tmp_path)
    for module, name in (("defect_rows", "MAX_DEFECTS"), ("nested", "MAX_DEFECTS"), ("nested", "MAX_WAFERS")):
        monkeypatch.setattr(f"sem_lightning.klarf.{module}.{name}", 2)
    made = [Made(number) for number in range(6)]
    for data in (write_flat(made), write_nested(made), write_nested(made, NestedStyle(wafers=("a", "b", "c")))):
        with pytest.raises(UserError, match="more than 2"):
            parse_klarf(data)


def test_several_wafers_have_their_own_names() -> None:
    data = write_nested([Made(number) for number in range(4)], NestedStyle(wafers=("W 03", "W 04")))
    found = parse_klarf(data)
    assert [defect.wafer.name for defect in found.defects] == ["W 03", "W 03", "W 04", "W 04"]
    assert [wafer.die_pitch for wafer in found.wafers] == [(8, 10)] * 2  # of the lot, which says so behind them
    assert [wafer.slot for wafer in found.wafers] == ["3", "4"]
    flat = write_flat([Made(1)]).replace(
        b"EndOfFile;", b'WaferID "W 04";\nSlot 4;\nDefectList\n 1 0 0 0 0 NA NA 5 0 4 0 0;\n'
    )
    found = parse_klarf(flat)
    assert [(each.wafer.name, each.wafer.slot, each.wafer.diameter) for each in found.defects] == [
        ("W 03", "3", 300), ("W 04", "4", 300)]  # fmt: skip


def test_image_lists_of_other_writers() -> None:
    head = b"FileVersion 1 2;\nDefectRecordSpec 4 DEFECTID IMAGECOUNT IMAGELIST CLASSNUMBER;\n"
    head += b"TiffFileName a.tif;\nDefectList\n"
    rows = b"1 0 5\n2 2 1 0 2 1 6\n3 1 1 4 0 7\n4 2 8 9 8;"
    found = parse_klarf(head + rows)
    assert [[(each.number, each.kind) for each in defect.images] for defect in found.defects] == [
        [], [(1, "0"), (2, "1")], [(4, "0")], [(8, None), (9, None)]]  # fmt: skip
    assert [defect.class_number() for defect in found.defects] == [5, 6, 7, 8]


def test_columns_of_classes_are_checked() -> None:
    found = parse_klarf(write_flat([Made(1)]))
    assert found.defects[0].class_columns == ["CLASSNUMBER", "ROUGHBINNUMBER", "FINEBINNUMBER"]
    for column in ("DEFECTID", "XREL", "MANSEMCLASS"):
        with pytest.raises(UserError, match=f"found no column {column} of classes, expected one of CLASSNUMBER, ROUGH"):
            found.with_classes({0: 1}, column)
    for number in (-1, 2**31):
        with pytest.raises(UserError, match=f"class number {number}, expected 0 to 2147483647"):
            found.with_classes({0: number})
    with pytest.raises(UserError, match="no defect with the index 1, expected 0 to 0"):
        found.with_classes({1: 1})


def test_a_number_never_becomes_a_part_of_the_next_cell() -> None:
    for cells, allowed in (
        (b'5 "x"', True),
        (b'"5" "x"', True),
        (b'"5""x"', False),
        (b'"5",x', False),
        (b'5"x" 1', True),
    ):
        data = b"FileVersion 1 2;\nDefectRecordSpec 2 CLASSNUMBER NAME;\nDefectList\n " + cells + b";"
        found = parse_klarf(data)
        if allowed:
            assert found.with_classes({0: 7}).defects[0].class_number() == 7
        else:
            with pytest.raises(UserError, match="the class of defect  touches what follows it"):
                found.with_classes({0: 7})


def test_the_file_that_was_read_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "lot.klarf"
    path.write_bytes(write_flat([Made(1)]))
    (tmp_path / "link.klarf").symlink_to(path)
    lot = read_klarf(path).with_classes({0: 9})
    for name in ("lot.klarf", "link.klarf"):
        with pytest.raises(SettingError, match="would overwrite"):
            lot.write(tmp_path / name)
    lot.write(tmp_path / "out" / "lot.klarf")
    assert read_klarf(tmp_path / "out" / "lot.klarf").defects[0].class_number() == 9
    assert read_klarf(path).defects[0].class_number() == 0


def test_klarf_files_are_told_from_others(tmp_path: Path) -> None:
    for name, data in (
        ("a.001", b"FileVersion 1 2;"),
        ("b.txt", b'\xef\xbb\xbf Record FileRecord "1.8"'),
        ("c.klarf", b""),
    ):
        (tmp_path / name).write_bytes(data)
        assert is_klarf(tmp_path / name)
    (tmp_path / "list.txt").write_text("a.png\n")
    assert not is_klarf(tmp_path / "list.txt") and not is_klarf(tmp_path) and not is_klarf(tmp_path / "none")
    assert read.CLASS_COLUMN == "CLASSNUMBER"


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("page", ["1,", "NA", "-1", "1.5"])
def test_an_image_without_a_number_is_refused_and_not_taken_for_page_zero(newline: str, page: str) -> None:
    made = [Made(1, images=(("a.tif", 1, "0"),)), Made(2, images=(("a.tif", 777, "0"),))]
    data = write_flat(made, Style(newline=newline))
    lines = data.decode().split(newline)
    line = next(number for number, text in enumerate(lines, start=1) if " 777 " in text)
    with pytest.raises(UserError, match=rf"^KLARF: line {line}: found '{page}', expected the number of an image"):
        parse_klarf(data.replace(b" 777 ", f" {page} ".encode()))
