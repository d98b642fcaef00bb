"""Writes tests/fixtures/images: small images of each kind that programs make, and damaged ones.

`python tests/make_odd_images.py` needs Pillow and numpy; the files are the same each time. Their pixels
are no part of the corpus: the tests ask Pillow.
"""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

FOLDER = Path(__file__).parent / "fixtures" / "images"
# Odd, so that blocks and chroma are cut at both sides.
HEIGHT, WIDTH = 23, 37


def scene(height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    """A smooth scene with an edge and some noise: what JPEG finds easy, and what it does not."""
    y, x = np.mgrid[:height, :width] / max(height, width)
    rgb = np.stack([x, y, 1.0 - (x + y) / 2], axis=-1) * 220
    rgb[(y - 0.3) ** 2 + (x - 0.4) ** 2 < 0.03] = (250, 40, 10)
    rgb += np.random.default_rng(0).normal(0, 6, rgb.shape)
    return np.clip(rgb, 0, 255).astype(np.uint8)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int, height: int, bits: int, colour: int, rows: bytes, *more: bytes, interlace: int = 0
) -> bytes:
    """A PNG of rows that begin with their filter."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace)
    parts = [chunk(b"IHDR", header), *more, chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def interlaced(rgb: np.ndarray) -> bytes:
    """A PNG in Adam7's seven passes (PNG specification, section 8.2), which Pillow cannot write."""
    passes = (
        (0, 0, 8, 8),
        (0, 4, 8, 8),
        (4, 0, 8, 4),
        (0, 2, 4, 4),
        (2, 0, 4, 2),
        (0, 1, 2, 2),
        (1, 0, 2, 1),
    )
    rows = b"".join(b"\0" + row.tobytes() for y, x, dy, dx in passes for row in rgb[y::dy, x::dx] if row.size)
    return png(rgb.shape[1], rgb.shape[0], 8, 2, rows, interlace=1)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def bmp(
    width: int, height: int, bits: int, pixels: bytes, palette: bytes = b"", packed: int = 0, header: int = 40
) -> bytes:
    """A BMP as Pillow cannot write it; `packed` is 1 or 2 for run lengths, 3 for masks in `palette`."""
    if header == 12:
        made = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        colours = 0 if packed == 3 else len(palette) // 4
        made = struct.pack(
            "<IiiHHIIiiII", header, width, height, 1, bits, packed, len(pixels), 0, 0, colours, colours
        )
    made = made.ljust(header, b"\0") + palette
    return b"BM" + struct.pack("<IHHI", 14 + len(made) + len(pixels), 0, 0, 14 + len(made)) + made + pixels


def odd_bmps() -> dict[str, bytes]:
    """BMPs of few bits, 16 bits, run lengths and OS/2, 5 x 2 pixels or 37 x 23."""
    greens = b"".join(bytes([0, 17 * level, 0, 0]) for level in range(16))
    rows = bytes.fromhex("01234000") + bytes.fromhex("fedcb000")
    words = np.random.default_rng(1).integers(0, 1 << 16, (HEIGHT, WIDTH + 1)).astype("<u2")
    words[0, :8] = np.arange(8) * 4
    runs = {  # Each line ends, then the image; an absolute run; the image ends alone.
        4: bytes.fromhex("0512 0000 0005 fedcb0 00 0000 0001".replace(" ", "")),
        8: bytes.fromhex("0203 0304 0000 0005 0102030405 00 0001".replace(" ", "")),
    }
    return {
        "four_bits.bmp": bmp(5, 2, 4, rows, greens),
        "two_colours_os2.bmp": bmp(
            5, 2, 1, bytes.fromhex("a8000000 50000000"), bytes.fromhex("0a1428f0c896"), header=12
        ),
        "four_bits_os2.bmp": bmp(5, 2, 4, rows, bytes(range(48)), header=12),
        "four_bits_os2_2.bmp": bmp(5, 2, 4, rows, greens, header=64),
        "runs_4.bmp": bmp(5, 2, 4, runs[4], greens, 2),
        "runs_8.bmp": bmp(5, 2, 8, runs[8], greens, 1),
        # The last pixel is there, the end of the image is not said.
        "runs_4_without_end.bmp": bmp(5, 2, 4, runs[4][:-2], greens, 2),
        "runs_8_without_end.bmp": bmp(5, 2, 8, runs[8][:-2], greens, 1),
        "runs_8_line_end.bmp": bmp(5, 2, 8, runs[8][:-2] + bytes(2), greens, 1),
        "runs.bad.bmp": bmp(5, 2, 8, runs[8][:6], greens, 1),
        "words_555.bmp": bmp(WIDTH, HEIGHT, 16, (words & 0x7FFF).tobytes()),
        "words_565.bmp": bmp(WIDTH, HEIGHT, 16, words.tobytes(), struct.pack("<III", 0xF800, 0x7E0, 0x1F), 3),
    }


def tiff(width: int, height: int, parts: list[bytes], tags: dict[int, tuple[int, ...]]) -> bytes:
    """A little-endian TIFF of a kind that Pillow cannot write: parts of its pixels, and tags of 16 bits."""
    every: dict[int, tuple[int, tuple[int, ...]]] = {
        256: (4, (width,)),
        257: (4, (height,)),
        273: (4, tuple(8 + sum(map(len, parts[:i])) for i in range(len(parts)))),
        278: (4, (height,)),
        279: (4, tuple(map(len, parts))),
        **{tag: (3, values) for tag, values in tags.items()},
    }
    pixels = b"".join(parts)
    start = 8 + len(pixels) + len(pixels) % 2
    entries, more = struct.pack("<H", len(every)), b""
    for tag, (kind, values) in sorted(every.items()):
        content = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(content) > 4:
            place = start + 2 + 12 * len(every) + 4 + len(more)
            more += content + b"\0" * (len(content) % 2)
            content = struct.pack("<I", place)
        entries += struct.pack("<HHI", tag, kind, len(values)) + content.ljust(4, b"\0")
    body = b"II*\0" + struct.pack("<I", start) + pixels.ljust(start - 8, b"\0")
    return body + entries + b"\0" * 4 + more


def odd_tiffs(rgb: np.ndarray, rgba: np.ndarray) -> dict[str, bytes]:
    """TIFFs in planes, of weighed colours, of bits in the other order, and of luma and chroma in a JPEG."""
    colours = {258: (8, 8, 8), 259: (1,), 262: (2,), 277: (3,)}
    planes = [np.ascontiguousarray(rgb[:, :, channel]).tobytes() for channel in range(3)]
    bits = np.random.default_rng(2).integers(0, 256, (HEIGHT, (WIDTH + 7) // 8), np.uint8).tobytes()
    jpeg = saved(Image.fromarray(rgb), "JPEG", quality=95, subsampling=0)
    alpha = rgba[:, :, 3:].astype(int)
    weighed = np.concatenate([rgba[:, :, :3] * alpha // 255, alpha], axis=-1).astype(np.uint8)
    # No alpha though there is colour; more colour than alpha.
    weighed[0, 0], weighed[0, 1] = (9, 99, 200, 0), (9, 99, 200, 100)
    return {
        "planes.tif": tiff(WIDTH, HEIGHT, planes, {**colours, 284: (2,)}),
        "weighed_alpha.tif": tiff(
            WIDTH, HEIGHT, [weighed.tobytes()], {**colours, 258: (8,) * 4, 277: (4,), 338: (1,)}
        ),
        "lowest_bit_first.tif": tiff(
            WIDTH, HEIGHT, [bits], {258: (1,), 259: (1,), 262: (1,), 266: (2,), 277: (1,)}
        ),
        "jpeg_chroma.tif": tiff(WIDTH, HEIGHT, [jpeg], {**colours, 259: (7,), 262: (6,), 530: (1, 1)}),
        **odd_levels(rgb[:, :, 0].astype(int)),
    }


def odd_levels(levels: np.ndarray) -> dict[str, bytes]:
    """TIFFs of one level a pixel: signed, floats, and with 0 for white."""

    def made(kind: str, white_is_zero: bool = False, levels: np.ndarray = levels) -> bytes:
        array = ((levels - 60) * (200 if kind == "<u2" else 1)).astype(kind)
        sample_format = {"u": 1, "i": 2, "f": 3}[array.dtype.kind]
        bits = 8 * array.itemsize
        tags = {258: (bits,), 259: (1,), 262: (0 if white_is_zero else 1,), 277: (1,), 339: (sample_format,)}
        return tiff(levels.shape[1], levels.shape[0], [array.tobytes()], tags)

    few = levels[:4, :6]
    return {
        "white_is_zero.tif": made("u1", white_is_zero=True),
        "deep_white_is_zero.tif": made("<u2", white_is_zero=True),
        "floats_white_is_zero.tif": made("<f4", white_is_zero=True),
        "signed_8.tif": made("i1"),
        "signed_16.tif": made("<i2"),
        "floats_16.bad.tif": made("<f2", levels=few),
        "floats_64.bad.tif": made("<f8", levels=few),
        "integers_64.bad.tif": made("<u8", levels=few),
        "signed_white_is_zero.bad.tif": made("<i2", white_is_zero=True, levels=few),
    }


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def files() -> dict[str, bytes]:
    """The names and contents of the corpus."""
    array = scene()
    rgb = Image.fromarray(array)
    grey, cmyk, palette = rgb.convert("L"), rgb.convert("CMYK"), rgb.quantize(17)
    rgba = rgb.copy()
    rgba.putalpha(Image.fromarray((array[:, :, 0] // 2 * 2).astype(np.uint8)))
    deep = (np.mgrid[:HEIGHT, :WIDTH][1] * 1771 + np.mgrid[:HEIGHT, :WIDTH][0] * 7).astype(np.uint16)
    made = {
        "plain.jpg": saved(rgb, "JPEG", quality=90),
        "full_chroma.jpg": saved(rgb, "JPEG", quality=95, subsampling=0),
        "half_chroma.jpg": saved(rgb, "JPEG", quality=60, subsampling=1),
        "quarter_wide_chroma.jpg": saved(rgb, "JPEG", quality=75, subsampling="4:1:1"),
        "coarse.jpg": saved(rgb, "JPEG", quality=5),
        "progressive.jpg": saved(rgb, "JPEG", progressive=True),
        "restarts.jpg": saved(rgb, "JPEG", restart_marker_blocks=2),
        "grey.jpg": saved(grey, "JPEG"),
        "cmyk.jpg": saved(cmyk, "JPEG", quality=90),
        "one_pixel.jpg": saved(rgb.crop((0, 0, 1, 1)), "JPEG"),
        "wide.jpg": saved(Image.fromarray(scene(3, 90)), "JPEG"),
        "large.jpg": saved(Image.fromarray(scene(150, 201)), "JPEG", quality=80),
        "plain.png": saved(rgb, "PNG"),
        "alpha.png": saved(rgba, "PNG"),
        "grey.png": saved(grey, "PNG"),
        "grey_alpha.png": saved(rgba.convert("LA"), "PNG"),
        "one_bit.png": saved(grey.convert("1"), "PNG"),
        "two_bits.png": png(5, 2, 2, 0, b"\0\x1b\x40\0\xe4\x80"),
        "four_bits.png": png(3, 2, 4, 0, b"\0\x0f\x70\0\x82\xb0"),
        "palette.png": saved(palette, "PNG"),
        "palette_few.png": saved(rgb.quantize(3), "PNG", bits=2),
        "palette_transparent.png": saved(palette, "PNG", transparency=bytes([0, 100, 200])),
        "transparent_colour.png": saved(rgb, "PNG", transparency=tuple(int(v) for v in array[3, 3])),
        "deep_grey.png": saved(Image.fromarray(deep), "PNG"),
        "deep_colours.png": png(
            2,
            2,
            16,
            2,
            b"".join(b"\0" + struct.pack(">6H", *row) for row in ((1, 257, 65535, 4660, 256, 255),) * 2),
        ),
        "interlaced.png": interlaced(array),
        "plain.bmp": saved(rgb, "BMP"),
        "grey.bmp": saved(grey, "BMP"),
        "palette.bmp": saved(palette, "BMP"),
        "one_bit.bmp": saved(grey.convert("1"), "BMP"),
        **odd_bmps(),
        "one_pixel.bmp": saved(rgb.crop((0, 0, 1, 1)), "BMP"),
        "two_pixels.bmp": saved(rgb.crop((0, 0, 1, 2)), "BMP"),
        "one_pixel_alpha.bmp": saved(rgba.crop((0, 0, 1, 1)), "BMP"),
        "alpha.bmp": saved(rgba, "BMP"),
        "plain.gif": saved(rgb, "GIF"),
        "interlaced.gif": saved(palette, "GIF", interlace=1),
        "transparent.gif": saved(palette, "GIF", transparency=3),
        "animated.gif": saved(
            palette,
            "GIF",
            save_all=True,
            append_images=[Image.fromarray(array[::-1]).quantize(9)],
            duration=50,
        ),
        "lossless.webp": saved(rgb, "WEBP", lossless=True),
        "lossless_alpha.webp": saved(rgba, "WEBP", lossless=True),
        "lossy.webp": saved(rgb, "WEBP", quality=80),
        "lossy_alpha.webp": saved(rgba, "WEBP", quality=80),
        "plain.tif": saved(rgb, "TIFF"),
        "packed.tif": saved(rgb, "TIFF", compression="tiff_lzw"),
        "deflated.tif": saved(rgba, "TIFF", compression="tiff_adobe_deflate"),
        "grey.tif": saved(grey, "TIFF"),
        "one_bit.tif": saved(grey.convert("1"), "TIFF"),
        "palette.tif": saved(palette, "TIFF"),
        "palette_packed.tif": saved(palette, "TIFF", compression="tiff_lzw"),
        "grey_alpha.tif": saved(rgba.convert("LA"), "TIFF"),
        "jpeg.tif": saved(rgb, "TIFF", compression="jpeg"),
        "fax.tif": saved(grey.convert("1"), "TIFF", compression="group4"),
        "cmyk.tif": saved(cmyk, "TIFF"),
        "deep_grey.tif": saved(Image.fromarray(deep), "TIFF"),
        **odd_tiffs(array, np.asarray(rgba)),
        "chroma.tif": saved(rgb.convert("YCbCr"), "TIFF"),
        "floats.tif": saved(Image.fromarray(array[:, :, 0] * np.float32(1.4) - 30), "TIFF"),
        "integers.tif": saved(Image.fromarray(array[:, :, 0].astype(np.int32) * 2 - 99), "TIFF"),
    }
    for orientation in range(1, 9):
        made[f"orientation_{orientation}.jpg"] = saved(rgb, "JPEG", quality=85, exif=exif(orientation))
    made["orientation_6.png"] = saved(rgb, "PNG", exif=exif(6))
    made["orientation_8.webp"] = saved(rgb, "WEBP", lossless=True, exif=exif(8))
    made["orientation_3.tif"] = saved(rgb, "TIFF", exif=exif(3))
    # Whole, but of kinds that are not read.
    made["zstd.bad.tif"] = saved(rgb, "TIFF", compression="zstd")
    made["lzma.bad.tif"] = saved(rgb, "TIFF", compression="lzma")
    made["group3.bad.tif"] = saved(grey.convert("1"), "TIFF", compression="group3")
    made["lab.bad.tif"] = tiff(2, 1, [bytes(6)], {258: (8, 8, 8), 259: (1,), 262: (8,), 277: (3,)})
    made["inside_png.bad.bmp"] = bmp(5, 2, 0, b"", packed=5)
    # What a folder holds by mistake.
    made["cut_off.bad.jpg"] = made["plain.jpg"][: len(made["plain.jpg"]) * 2 // 3]
    made["cut_off.bad.png"] = made["plain.png"][: len(made["plain.png"]) // 2]
    made["cut_off.bad.gif"] = made["plain.gif"][: len(made["plain.gif"]) // 2]
    made["cut_off.bad.webp"] = made["lossy.webp"][: len(made["lossy.webp"]) // 2]
    made["cut_off.bad.tif"] = made["plain.tif"][: len(made["plain.tif"]) // 2]
    made["cut_off.bad.bmp"] = made["plain.bmp"][: len(made["plain.bmp"]) // 2]
    made["empty.bad.png"] = b""
    made["text.bad.jpg"] = b"Not an image, but a note with a wrong name.\n"
    made["header_only.bad.png"] = made["plain.png"][:8]
    made["checksum.bad.png"] = (
        made["plain.png"].replace(b"IDAT", b"IDAT", 1)[:-30] + b"\xff" * 18 + made["plain.png"][-12:]
    )
    # 60000 x 60000 pixels in 70 bytes.
    made["bomb.bad.png"] = png(60000, 60000, 8, 2, b"\0" * 64)
    return made


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in files().items():
        (FOLDER / name).write_bytes(content)
    print(f"{len(files())} files, {sum(map(len, files().values()))} bytes in {FOLDER}")
