"""Lists as people have them: every way of writing ``labels.csv``, and every fault in one."""

from collections.abc import Iterable

import numpy as np
from folder_trees import BOTH, HALVES, TWO, Make, Right, listed, made
from kind import Kind

_ROWS = "good/0.png,good\ngood/1.png,good\ngap/0.png,gap\ngap/1.png,gap\n"
_SPLIT_ROWS = "good/0.png,good,{0}\ngood/1.png,good,{1}\ngap/0.png,gap,{0}\ngap/1.png,gap,{2}\n"
_HALVED = Right(TWO, HALVES)

_LISTS: dict[str, tuple[Make, Right]] = {
    "filename,label": (listed("filename,label\n" + _ROWS), BOTH),
    "image,class": (listed("image,class\n" + _ROWS), BOTH),
    "Filename,Label": (listed("Filename,Label\n" + _ROWS), BOTH),
    "path,category and another column": (
        listed("path,category,dose\n" + _ROWS.replace("\n", ",5\n")),
        BOTH,
    ),
    "columns in another order": (
        listed("label,filename\ngood,good/0.png\ngap,gap/0.png\n"),
        Right({"good": 1, "gap": 1}),
    ),
    "our own name of a column before another": (
        listed("class,label,filename\nx,good,good/0.png\ny,gap,gap/0.png\n"),
        Right({"good": 1, "gap": 1}),
    ),
    "semicolons": (listed(("filename;label\n" + _ROWS).replace(",", ";")), BOTH),
    "semicolons, after sep=;": (listed("sep=;\n" + ("filename;label\n" + _ROWS).replace(",", ";")), BOTH),
    "tabs": (listed(("filename\tlabel\n" + _ROWS).replace(",", "\t")), BOTH),
    "spaces after commas": (listed(("filename,label\n" + _ROWS).replace(",", ", ")), BOTH),
    "spaces at the ends": (listed(("filename,label\n" + _ROWS).replace("\n", "  \n")), BOTH),
    "quotes after a space": (
        listed('filename, label\n"good/0.png", "good"\n"gap/0.png", "gap"\n'),
        Right({"good": 1, "gap": 1}),
    ),
    "UTF-16": (listed(("filename,label\n" + _ROWS).encode("utf-16")), BOTH),
    "UTF-16 without a mark": (listed(("filename,label\n" + _ROWS).encode("utf-16-le")), BOTH),
    "UTF-8 with a mark": (listed(("filename,label\n" + _ROWS).encode("utf-8-sig")), BOTH),
    "lines of Windows": (listed(("filename,label\n" + _ROWS).replace("\n", "\r\n")), BOTH),
    "lines of old Macs": (listed(("filename,label\n" + _ROWS).replace("\n", "\r")), BOTH),
    "backslashes": (listed(("filename,label\n" + _ROWS).replace("/", "\\")), BOTH),
    "empty lines": (listed("filename,label\n\n" + _ROWS.replace("\n", "\n\n") + "\n,,\n"), BOTH),
    "splits": (listed("filename,label,split\n" + _SPLIT_ROWS.format("train", "val", "test")), _HALVED),
    "splits, valid": (listed("filename,label,split\n" + _SPLIT_ROWS.format("train", "valid", "test")), _HALVED),
    "splits, Train and VAL": (listed("filename,label,split\n" + _SPLIT_ROWS.format("Train", "VAL", "TEST")), _HALVED),
    "splits, training and validation": (
        listed("file,class,set\n" + _SPLIT_ROWS.format("training", "validation", "testing")),
        _HALVED,
    ),
    "an unknown split": (
        listed("filename,label,split\n" + _SPLIT_ROWS.format("train", "val", "exam")),
        Right(said=("labels.csv, line 5", "'exam'", "train, val, test, calibration")),
    ),
    "no header": (listed(_ROWS), Right(said=("good/0.png, good", "expected filename,label", "first line"))),
    "no class in a line": (
        listed("filename,label\n" + _ROWS + "gap/2.png,\n"),
        Right(said=("line 6", "label is empty")),
    ),
    "a line cut short": (listed("filename,label\n" + _ROWS + "gap/2.png\n"), Right(said=("line 6", "label is empty"))),
    "no name in a line": (listed("filename,label\n,gap\n"), Right(said=("line 2", "filename is empty"))),
    "a comma in a name": (
        listed("filename,label\n" + _ROWS + "gap/a, b.png,gap\n"),
        Right(said=("line 6", "found 3 cells", "double quotes")),
    ),
    "a name twice, with a backslash": (
        listed("filename,label\n" + _ROWS + "gap\\0.png,gap\n"),
        Right(said=("listed more than once: gap/0.png",)),
    ),
    "a split in some lines": (
        listed("filename,label,split\ngood/0.png,good,test\ngap/0.png,gap,\n"),
        Right(said=("some have none: gap/0.png",)),
    ),
    "a file that is missing": (
        listed("filename,label\n" + _ROWS + "gap/9.png,gap\n"),
        Right(said=("1 of 5 images", "gap/9.png: No such file", "on_bad_image=skip")),
    ),
    "no file is there": (
        listed("filename,label\nx/0.png,good\nx/1.png,gap\n"),
        Right(said=("2 of 2 images", "none is left")),
    ),
    "Latin-1": (listed("filename,label\n\u00e4.png,good\n".encode("latin-1")), Right(said=("UTF-8 or UTF-16",))),
    "binary": (listed(np.random.default_rng(0).bytes(300)), Right(said=("labels.csv",))),
    "an empty list": (listed(""), Right(said=("found the columns none",))),
}


def kinds() -> Iterable[Kind]:
    """Every list."""
    return [Kind(name, made(make, right)) for name, (make, right) in _LISTS.items()]
