"""Hashes of bytes, as TensorFlow has them: FarmHash, and SipHash with a key."""

from __future__ import annotations

__all__ = ["farm_hash", "joined_hash", "sip_hash"]

_MASK = 2**64 - 1
_K0, _K1, _K2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F


def _rotated_right(value: int, bits: int) -> int:
    return ((value >> bits) | (value << (64 - bits))) & _MASK


def _folded(value: int) -> int:
    return value ^ (value >> 47)


def _word(data: bytes, start: int, size: int = 8) -> int:
    """The little-endian integer at a place of data."""
    return int.from_bytes(data[start : start + size], "little")


def _mixed(first: int, second: int, factor: int) -> int:
    """Two words as one."""
    a = _folded((first ^ second) * factor & _MASK)
    b = _folded((second ^ a) * factor & _MASK)
    return b * factor & _MASK


def farm_hash(data: bytes) -> int:
    """The 64 bits of FarmHash's `Fingerprint64` (Pike and Alakuijala 2014)."""
    size = len(data)
    if size > 64:
        return _long_hash(data)
    factor = (_K2 + size * 2) & _MASK
    if size > 16:
        a = _word(data, 0) * (_K1 if size <= 32 else _K2) & _MASK
        b, c = _word(data, 8), _word(data, size - 8) * factor & _MASK
        d = _word(data, size - 16) * _K2 & _MASK
        first = (_rotated_right((a + b) & _MASK, 43) + _rotated_right(c, 30) + d) & _MASK
        second = (a + _rotated_right((b + _K2) & _MASK, 18) + c) & _MASK
        if size <= 32:
            return _mixed(first, second, factor)
        e, f = _word(data, 16) * factor & _MASK, _word(data, 24)
        g = (first + _word(data, size - 32)) * factor & _MASK
        h = (_mixed(first, second, factor) + _word(data, size - 24)) * factor & _MASK
        first = (_rotated_right((e + f) & _MASK, 43) + _rotated_right(g, 30) + h) & _MASK
        return _mixed(first, (e + _rotated_right((f + a) & _MASK, 18) + g) & _MASK, factor)
    if size >= 8:
        a, b = (_word(data, 0) + _K2) & _MASK, _word(data, size - 8)
        first = (_rotated_right(b, 37) * factor + a) & _MASK
        return _mixed(first, (_rotated_right(a, 25) + b) * factor & _MASK, factor)
    if size >= 4:
        return _mixed(size + (_word(data, 0, 4) << 3), _word(data, size - 4, 4), factor)
    if size:
        a, b = data[0] + (data[size >> 1] << 8), size + (data[-1] << 2)
        return _folded((a * _K2 ^ b * _K0) & _MASK) * _K2 & _MASK
    return _K2


def _long_hash(data: bytes) -> int:
    """The hash of more than 64 bytes: a state of seven words takes up 64 bytes at a time."""
    size = len(data)
    x, y = 81, (81 * _K1 + 113) & _MASK
    z = _folded((y * _K2 + 113) & _MASK) * _K2 & _MASK
    x = (x * _K2 + _word(data, 0)) & _MASK
    v, w = (0, 0), (0, 0)
    # The last 64 bytes come once more at the end, with another factor.
    last = size - 64
    for start in [*range(0, (size - 1) // 64 * 64, 64), last]:
        ends = start == last
        factor, times = ((_K1 + ((z & 0xFF) << 1)) & _MASK, 9) if ends else (_K1, 1)
        if ends:
            w = ((w[0] + ((size - 1) & 63)) & _MASK, w[1])
            v = ((v[0] + w[0]) & _MASK, v[1])
            w = ((w[0] + v[0]) & _MASK, w[1])
        x = _rotated_right((x + y + v[0] + _word(data, start + 8)) & _MASK, 37) * factor & _MASK
        y = _rotated_right((y + v[1] + _word(data, start + 48)) & _MASK, 42) * factor & _MASK
        x ^= w[1] * times & _MASK
        y = (y + v[0] * times + _word(data, start + 40)) & _MASK
        z = _rotated_right((z + w[0]) & _MASK, 33) * factor & _MASK
        v = _two_words(data, start, v[1] * factor & _MASK, (x + w[0]) & _MASK)
        w = _two_words(data, start + 32, (z + w[1]) & _MASK, (y + _word(data, start + 16)) & _MASK)
        x, z = z, x
    first = (_mixed(v[0], w[0], factor) + _folded(y) * _K0 + z) & _MASK
    return _mixed(first, (_mixed(v[1], w[1], factor) + x) & _MASK, factor)


def _two_words(data: bytes, start: int, a: int, b: int) -> tuple[int, int]:
    """32 bytes as two words."""
    first, second, third, fourth = (_word(data, start + place) for place in (0, 8, 16, 24))
    a = (a + first) & _MASK
    b = _rotated_right((b + a + fourth) & _MASK, 21)
    total = (a + second + third) & _MASK
    return (total + fourth) & _MASK, (b + _rotated_right(total, 44) + a) & _MASK


def sip_hash(data: bytes, key: tuple[int, int]) -> int:
    """The 64 bits of SipHash-2-4 (Aumasson and Bernstein 2012) with a key of two words."""
    a, b = (word & _MASK for word in key)
    a, b, c, d = (
        a ^ 0x736F6D6570736575,
        b ^ 0x646F72616E646F6D,
        a ^ 0x6C7967656E657261,
        b ^ 0x7465646279746573,
    )
    padded = data + bytes(-(len(data) + 1) % 8) + bytes([len(data) & 0xFF])
    words = [_word(padded, start) for start in range(0, len(padded), 8)]
    for rounds, word in [*((2, word) for word in words), (4, None)]:
        if word is None:
            c ^= 0xFF
        else:
            d ^= word
        for _ in range(rounds):
            a, c = (a + b) & _MASK, (c + d) & _MASK
            b, d = _rotated_right(b, 51) ^ a, _rotated_right(d, 48) ^ c
            a, c = (_rotated_right(a, 32) + d) & _MASK, (c + b) & _MASK
            d, b = _rotated_right(d, 43) ^ a, _rotated_right(b, 47) ^ c
            c = _rotated_right(c, 32)
        a ^= word or 0
    return a ^ b ^ c ^ d


def joined_hash(first: int, second: int) -> int:
    """One word of two, whose order counts: TensorFlow's `FingerprintCat64`."""
    factor = 0xC6A4A7935BD1E995
    value = first ^ factor ^ (_folded(second * factor & _MASK) * factor & _MASK)
    return _folded(_folded(value * factor & _MASK) * factor & _MASK)
