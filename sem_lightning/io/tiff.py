"""Decodes the image of a TIFF whole, or says why it cannot be."""

import functools
import io
import itertools
import os
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt
import simplejpeg

from sem_lightning.io.gray import to_gray
from sem_lightning.io.limits import MAX_PIXELS, CannotDecodeError, check_memory, check_sides
from sem_lightning.io.orientation import AS_STORED, ORIENTATION
from sem_lightning.io.stored_image import StoredImage

if TYPE_CHECKING:  # takes long to import
    from tifffile import TiffFile, TiffPage

TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_JPEG = 7
_COMPRESSIONS = {1: "none", 5: "LZW", _JPEG: "JPEG", 8: "Deflate", 32946: "Deflate", 32773: "PackBits"}
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _SEPARATED, _YCBCR = 0, 1, 2, 3, 5, 6
_CHANNELS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _YCBCR: 3}
_JPEG_TABLES = 347
_MOST_PAGES = 100
_LAST_PAGE = 100_000
_FILES_OF_PAGES = 8  # whose pages are remembered
_LONGEST_REASON = 200
_BITS = (1, 2, 4, 8, 10, 12, 14, 16)
_MOST_SEGMENTS = 1 << 20  # strips or tiles


def decode_tiff(data: bytes, most_pixels: int = MAX_PIXELS) -> StoredImage:
    """Decode the only image of a TIFF; thumbnails after it do not count, and transparency is no part of it.

    Raises:
        CannotDecodeError: Too large, several images, a kind that is not supported, or parts that are missing or
            damaged.
    """
    return _decode(io.BytesIO(data), most_pixels, _only_page)


def decode_tiff_page(stream: BinaryIO, number: int, most_pixels: int = MAX_PIXELS) -> StoredImage:
    """Decode one page of a TIFF, of which no other page is read.

    Args:
        stream: The file.
        number: Of the page, from 0.
        most_pixels: More are refused before anything is decoded.

    Raises:
        CannotDecodeError: See `decode_tiff`; or there is no such page.
    """
    facts = os.fstat(stream.fileno())
    key = (facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns)
    return _decode(stream, most_pixels, lambda file: _numbered_page(file, number, _offsets_of_pages(key)))


def _decode(stream: BinaryIO, most_pixels: int, choose: "Callable[[TiffFile], TiffPage]") -> StoredImage:
    import tifffile

    try:
        with tifffile.TiffFile(stream) as file:
            page = choose(file)
            _check_kind(page, most_pixels)
            _check_segments(page)
            pixels = page.asarray(maxworkers=1)
            negative = page.photometric == _WHITE_IS_ZERO
            white = 2 ** int(page.bitspersample) - 1 if page.photometric != _PALETTE else 255
            orientation = int(page.tags.valueof(ORIENTATION, AS_STORED))
            return StoredImage(_to_gray(page, pixels), white, negative, orientation)
    except (CannotDecodeError, MemoryError):
        raise
    except Exception as error:  # the parsers raise many types of errors on damaged files
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise CannotDecodeError(f"the file is truncated or damaged ({reason[:_LONGEST_REASON]})") from None


def _only_page(file: "TiffFile") -> "TiffPage":
    pages = list(itertools.islice(file.pages, _MOST_PAGES))
    page = file.pages.first.aspage()
    if page.is_reduced:
        raise CannotDecodeError("begins with a thumbnail; save the full image as a file of its own")
    count = len({other.offset for other in pages if not getattr(other, "is_reduced", False)})  # may form a loop
    if count > 1:
        raise CannotDecodeError(f"holds {count} pages or frames; save the one that is meant as a file of its own")
    return page


@functools.lru_cache(maxsize=_FILES_OF_PAGES)
def _offsets_of_pages(key: tuple[int, ...]) -> list[int]:
    """Places of the first pages of a file, as far as they are known: each page only says where the next one is."""
    return []


def _numbered_page(file: "TiffFile", number: int, offsets: list[int]) -> "TiffPage":
    """A page of a file of which some offsets are known; adds those up to this page."""
    from tifffile import TiffPage

    if not 0 <= number < _LAST_PAGE:
        raise CannotDecodeError(f"has no page {number + 1}, expected 1 to {_LAST_PAGE}")
    known = list(offsets) or [file.pages.first.offset]  # a copy, because other threads add to it
    seen = set(known) if len(known) <= number else set()
    while len(known) <= number:
        following = _following_page(file, known[-1])
        if not following or following in seen:  # some damaged files form a loop
            raise CannotDecodeError(f"has no page {number + 1}, only {len(known)}")
        known.append(following)
        seen.add(following)
    if len(known) > len(offsets):
        offsets[:] = known
    file.filehandle.seek(known[number])
    return TiffPage(file, index=number)


def _following_page(file: "TiffFile", offset: int) -> int:
    """Place of the next page; 0 behind the last one."""
    kind, stream = file.tiff, file.filehandle
    stream.seek(offset)
    (tags,) = struct.unpack(kind.tagnoformat, stream.read(kind.tagnosize))
    stream.seek(offset + kind.tagnosize + tags * kind.tagsize)
    (following,) = struct.unpack(kind.offsetformat, stream.read(kind.offsetsize))
    return int(following)


def _check_kind(page: "TiffPage", most_pixels: int) -> None:
    """Refuse what would be too large, or would not be read as it is meant."""
    width, height, samples = page.imagewidth, page.imagelength, page.samplesperpixel
    check_sides(width, height, most_pixels)
    if page.compression not in _COMPRESSIONS:
        raise CannotDecodeError(
            f"is compressed in a way (TIFF number {int(page.compression)}) that cannot be read; save it uncompressed, "
            "or with LZW, Deflate, PackBits or JPEG"
        )
    if page.imagedepth != 1:
        raise CannotDecodeError("holds a volume; save the slice that is meant as a file of its own")
    if page.photometric == _SEPARATED:
        raise CannotDecodeError("is in CMYK colours for print; save it as grey")
    if page.photometric not in _CHANNELS or (page.photometric == _YCBCR and page.compression != _JPEG):
        raise CannotDecodeError("holds colours of a kind that cannot be read; save it as grey")
    channels = _CHANNELS[page.photometric]
    alpha = len(page.extrasamples) <= 1 and all(int(each) in (1, 2) for each in page.extrasamples)
    if samples < channels or (channels == 1 and samples > (2 if alpha else 1)):
        raise CannotDecodeError(f"holds {samples} channels; save the one that is meant as a file of its own")
    dtype = page.dtype
    if dtype is None or not (dtype.kind == "f" or (dtype.kind in "ub" and page.bitspersample in _BITS)):
        found = "pixels of an unknown type" if dtype is None else f"{dtype} pixels of {page.bitspersample} bits"
        raise CannotDecodeError(f"holds {found}, expected unsigned integers of up to 16 bits or floating-point numbers")
    stored = width * height * samples * dtype.itemsize * (2 if samples > 1 else 1)  # colours are copied once
    as_float = 0 if dtype == np.float32 else 4 * width * height
    check_memory(width, height, page.parent.filehandle.size + stored + as_float)


def _check_segments(page: "TiffPage") -> None:
    """Check that every strip or tile is in the file; tifffile would leave missing ones black."""
    offsets, counts = page.dataoffsets, page.databytecounts
    needed = int(np.prod(page.chunked))
    if len(offsets) < needed or len(counts) < needed:
        raise CannotDecodeError(f"the file is damaged: it lists fewer strips or tiles than the {needed} needed")
    if needed > _MOST_SEGMENTS:
        raise CannotDecodeError(f"is cut into more than {_MOST_SEGMENTS} strips or tiles; save it with larger ones")
    tiled = page.is_tiled
    sides = (page.tilelength, page.tilewidth) if tiled else (page.rowsperstrip, page.imagewidth)
    file = page.parent.filehandle
    for offset, count in zip(offsets[:needed], counts[:needed], strict=True):
        if not 0 < offset < offset + count <= file.size:
            raise CannotDecodeError("the file is truncated: a strip or tile lies beyond its end")
        if page.compression == _JPEG:
            file.seek(offset)
            _check_jpeg(file.read(count), page.tags.valueof(_JPEG_TABLES, b""), *sides)


def _check_jpeg(part: bytes, tables: bytes, rows: int, columns: int) -> None:
    """Decode a strip or tile strictly; the decoder of tifffile fills what is missing with grey."""
    whole = tables[:-2] + part[2:] if tables else part
    height, width, *_ = simplejpeg.decode_jpeg_header(whole, strict=True)
    if height > rows or width > columns:
        raise CannotDecodeError(f"the file is damaged: a strip or tile of {columns} x {rows} pixels holds another size")
    simplejpeg.decode_jpeg(whole, "GRAY", strict=True)


def _to_gray(page: "TiffPage", pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8)
    if page.photometric == _PALETTE:
        return _look_up(page, pixels)
    if pixels.ndim == 3 and page.planarconfig == 2:
        pixels = np.moveaxis(pixels, 0, -1)
    colours = _CHANNELS[page.photometric] == 3
    if colours and pixels.dtype.kind == "f":
        pixels = pixels.astype(np.float32)
    return to_gray(pixels)


def _look_up(page: "TiffPage", numbers: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Brightness of the colours of a palette."""
    if numbers.ndim == 3:
        numbers = numbers[..., 0]
    table = np.asarray(page.colormap)
    if table.max() > 255:  # as the standard has it; some writers store 8 bits
        table = table >> 8
    return np.asarray(to_gray(np.ascontiguousarray(table.T.astype(np.uint8))[None])[0][numbers])
