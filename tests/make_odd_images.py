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


def four_bits_bmp() -> bytes:
    """A BMP of 5 x 2 pixels with a palette of 16 greens, which Pillow cannot write."""
    palette = b"".join(bytes([0, 17 * level, 0, 0]) for level in range(16))
    rows = bytes.fromhex("01234000") + bytes.fromhex("fedcb000")
    header = struct.pack("<IiiHHIIiiII", 40, 5, 2, 1, 4, 0, len(rows), 0, 0, 16, 16)
    start = 14 + len(header) + len(palette)
    return b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start) + header + palette + rows


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
        "four_bits.bmp": four_bits_bmp(),
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
    }
    for orientation in range(1, 9):
        made[f"orientation_{orientation}.jpg"] = saved(rgb, "JPEG", quality=85, exif=exif(orientation))
    made["orientation_6.png"] = saved(rgb, "PNG", exif=exif(6))
    made["orientation_8.webp"] = saved(rgb, "WEBP", lossless=True, exif=exif(8))
    made["orientation_3.tif"] = saved(rgb, "TIFF", exif=exif(3))
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
