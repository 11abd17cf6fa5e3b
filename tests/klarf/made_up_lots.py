"""Writes small KLARF files of the three versions, for tests."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Made:
    """A defect to write: its class, place in die and wafer, and images as file, number and kind."""

    number: int
    classified: int = 0
    die: tuple[int, int] = (0, 0)
    in_die: tuple[float, float] = (0.0, 0.0)  # um
    images: Sequence[tuple[str, int, str]] = ()


@dataclass(frozen=True)
class Style:
    """How a writer writes versions 1.1 and 1.2."""

    version: str = "1.2"
    mark: str = ""  # byte-order mark
    newline: str = "\n"
    end: str = "last"  # semicolons: "last" row, "each" row, on a line "alone"
    images: str = "same"  # "same" line, "next" line, or the "count" on the same and the pairs on the next line
    none: str = "zero"  # an image list without images: "zero", "absent"
    tiff: str = "TiffFileName"
    lookup: Sequence[tuple[int, str]] = ((0, "Unclassified"), (1, "Good"), (7, "Gap"), (9, "Bridge"))
    columns: Sequence[str] = ("XSIZE", "YSIZE")  # in the middle of a row


COLUMNS = ("DEFECTID", "XREL", "YREL", "XINDEX", "YINDEX")
CLASSES = ("CLASSNUMBER", "ROUGHBINNUMBER", "FINEBINNUMBER")


def write_flat(defects: Sequence[Made], style: Style = Style()) -> bytes:
    names = (*COLUMNS, *style.columns, *CLASSES, "IMAGECOUNT", "IMAGELIST")
    lookup = "\n".join(f'  {number} "{name}"' for number, name in style.lookup)
    lines = [
        f"FileVersion {style.version.replace('.', ' ')};", "FileTimestamp 12-01-26 10:00:00;", 'LotID "LOT 7";',
        "SampleSize 1 300;", "OrientationMarkLocation DOWN;", "DiePitch 8.0000000000e+003 1.0000000000e+004;",
        "DieOrigin 0.0 0.0;", 'WaferID "W 03";', "Slot 3;", "SampleCenterLocation 4000.0 5000.0;",
        f"ClassLookup {len(style.lookup)}", f"{lookup};", "SampleTestPlan 2\n 0 0\n 0 1;",
        f"DefectRecordSpec {len(names)} {' '.join(names)} ;",
    ]  # fmt: skip
    groups: list[tuple[str, list[Made]]] = []
    for defect in defects:  # a new list for each file of images
        name = defect.images[0][0] if defect.images else groups[-1][0] if groups else "none.tif"
        if not groups or groups[-1][0] != name:
            groups.append((name, []))
        groups[-1][1].append(defect)
    for name, members in groups:
        lines += [f"{style.tiff} {name};", "DefectList"]
        rows = [_row(defect, style) for defect in members]
        ends = {"each": ";", "last": "", "alone": ""}[style.end]
        rows = [f"{row}{ends}" for row in rows]
        if style.end == "last":
            rows[-1] += ";"
        lines += [*rows, *([";"] if style.end == "alone" else [])]
    lines += ["SummarySpec 2 TESTNO NDEFECT;", "SummaryList", f" 1 {len(defects)};", "EndOfFile;", ""]
    return (style.mark + "\n".join(lines)).replace("\n", style.newline).encode()


def _row(defect: Made, style: Style) -> str:
    x, y = defect.in_die
    values = [
        defect.number, f"{x:.3f}", f"{y:.3f}", *defect.die, *("NA" for _ in style.columns), defect.classified, 0, 4,
        len(defect.images),
    ]  # fmt: skip
    row = " " + " ".join(map(str, values))
    if not defect.images:
        return row + (" 0" if style.none == "zero" else "")
    pairs = " ".join(f"{number} {kind}" for _, number, kind in defect.images)
    count = len(defect.images)
    return (
        row + {"same": f" {count} {pairs}", "next": f"\n {count} {pairs}", "count": f" {count}\n {pairs}"}[style.images]
    )


@dataclass(frozen=True)
class NestedStyle:
    """How a writer writes version 1.8."""

    mark: str = ""
    wrap: int = 0  # values on a line; 0 for all
    space: str = " "  # before a semicolon
    last: str = ";"  # at the end of the last row
    wafers: Sequence[str] = ("W 03",)
    names: Sequence[str] = field(default=("CLASSNUMBER",))


def write_nested(defects: Sequence[Made], style: NestedStyle = NestedStyle()) -> bytes:
    columns = [f"int32 {name}" for name in (*COLUMNS, "DSIZE", *CLASSES)] + ["ImageList IMAGEINFO"]
    wafers = []
    for place, wafer in enumerate(style.wafers):
        own = defects[place :: len(style.wafers)]
        rows = [_nested_row(each, style) + style.space + ";" for each in own]
        if rows and not style.last:
            rows[-1] = rows[-1].removesuffix(style.space + ";")
        wafers.append(
            f'    Record WaferRecord "{wafer}"\n    {{\n      Field SampleCenterLocation 2 {{4000000, 5000000}}\n'
            f"      Field SlotNumber 1 {{{place + 3}}}\n      List DefectList\n      {{\n"
            f"        Columns {len(columns)} {{ {', '.join(columns)} }}\n        Data {len(own)}\n        {{\n"
            + "\n".join(rows)
            + '\n        }\n      }\n      List CustomList { Columns 1 { string NAME } Data 1 { "} ; {" ; } }\n    }'
        )
    return (
        f'{style.mark}Record FileRecord  "1.8"\n{{\n  Record LotRecord "LOT 7"\n  {{\n'
        + "\n".join(wafers)
        + "\n    Field DiePitch 2 {8000000, 10000000}\n    Field SampleSize 2 {300000000, 0}\n"
        '    Field OrientationMarkLocation 1 {"DOWN"}\n    List ClassLookupList\n    {\n'
        "      Columns 3 { int32 CLASSNUMBER, string CLASSNAME, string CLASSCODE }\n      Data 4\n      {\n"
        '        0 "Unclassified" "";\n        1 "Good" "";\n        7 "Gap" "";\n'
        '        9 "Bridge" "";\n      }\n    }\n'
        '  }\n  Field FileTimestamp 2 {"2026-12-01", "10:00:00"}\n}\nEndOfFile;\n'
    ).encode()


def _nested_row(defect: Made, style: NestedStyle) -> str:
    x, y = (round(1000 * length) for length in defect.in_die)
    values = list(map(str, (defect.number, x, y, *defect.die, "NA", defect.classified, 0, 4)))
    entries = ", ".join(f'"{name}" "TIFF" {number} "{kind}"' for name, number, kind in defect.images)
    values.append(f"Images {len(defect.images)} {{ {entries} }}" if defect.images else "N")
    width = style.wrap or len(values)
    lines = [" ".join(values[i : i + width]) for i in range(0, len(values), width)]
    return "          " + "\n            ".join(lines)
