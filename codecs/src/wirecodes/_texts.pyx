# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""`_reference_texts`, compiled: the same functions, the same results, without the GIL."""

from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc
from libc.string cimport memchr, memcpy

cdef enum:
    WIDTH = 32  # bytes of a table's row: its first is the length of what follows
    SPACE = 0xFF  # the first byte of a row of white space
    CODES = 1024  # a code is its elements in binary, a dash 1, behind a leading 1


cdef inline bint is_hex(uint8_t c) noexcept nogil:
    return (c >= 48 and c <= 57) or (c >= 65 and c <= 70) or (c >= 97 and c <= 102)


def is_plain_quoted_printable(const uint8_t[::1] text):
    cdef Py_ssize_t size = text.shape[0], i, at
    cdef const uint8_t *start
    cdef const uint8_t *found
    cdef uint8_t odd = 0, c
    if size == 0:
        return True
    start = &text[0]
    with nogil:
        for i in range(size):
            c = start[i]
            odd |= (c > 126) | ((c < 32) & (c != 9) & (c != 10) & (c != 13))
    if odd:
        return False
    with nogil:
        at = 0
        while at < size:
            found = <const uint8_t *>memchr(start + at, 61, size - at)
            if found == NULL:
                at = size
                break
            at = found - start
            if at + 2 < size and is_hex(start[at + 1]) and is_hex(start[at + 2]):
                at += 3
            elif at + 1 < size and start[at + 1] == 10:
                at += 2
            elif at + 2 < size and start[at + 1] == 13 and start[at + 2] == 10:
                at += 3
            else:
                odd = 1
                break
    return not odd


def write_letters(const uint8_t[::1] text, const uint8_t[::1] table, bytes letter_gap, bytes word_gap, int gap):
    cdef Py_ssize_t size = text.shape[0], i, used = 0
    cdef Py_ssize_t letter_size = len(letter_gap), word_size = len(word_gap)
    cdef const uint8_t *letter = letter_gap
    cdef const uint8_t *word = word_gap
    cdef const uint8_t *row
    cdef uint8_t *out = <uint8_t *>malloc(size * (WIDTH + word_size) + 1)
    if out == NULL:
        raise MemoryError
    try:
        with nogil:
            for i in range(size):
                row = &table[<Py_ssize_t>text[i] * WIDTH]
                if row[0] == SPACE:
                    gap = 2 if gap else 0
                    continue
                if row[0] == 0:
                    used = -1
                    break
                if gap == 1:
                    memcpy(out + used, letter, letter_size)
                    used += letter_size
                elif gap == 2:
                    memcpy(out + used, word, word_size)
                    used += word_size
                memcpy(out + used, row + 1, row[0])
                used += row[0]
                gap = 1
        return None if used < 0 else (out[:used], gap)
    finally:
        free(out)


cdef inline Py_ssize_t put_symbol(uint8_t *out, Py_ssize_t used, const uint8_t *row) noexcept nogil:
    """How much is used with the symbol of this row, -1 where it has none."""
    if row[0] == 0:
        return -1
    memcpy(out + used, row + 1, row[0])
    return used + row[0]


def read_letters(const uint8_t[::1] text, const uint8_t[::1] symbols, int gap):
    cdef Py_ssize_t size = text.shape[0], i, used = 0
    cdef int code = 1
    cdef uint8_t c
    cdef uint8_t *out = <uint8_t *>malloc(size * 8 + WIDTH)
    if out == NULL:
        raise MemoryError
    try:
        with nogil:
            for i in range(size + 1):
                c = text[i] if i < size else 32
                if c == 46 or c == 45 or c == 95:
                    code = (code << 1) | (c != 46)
                    if code >= CODES:
                        used = -1
                        break
                    continue
                if code > 1:
                    if gap == 2:
                        out[used] = 32
                        used += 1
                    used = put_symbol(out, used, &symbols[code * WIDTH])
                    if used < 0:
                        break
                    gap, code = 1, 1
                if c == 47 or c == 10 or c == 124:
                    gap = 2 if gap else 0
                elif c != 32 and c != 9 and c != 13:
                    used = -1
                    break
        return None if used < 0 else (out[:used], gap)
    finally:
        free(out)


def read_digits(const uint8_t[::1] text, const uint8_t[::1] symbols, int dash):
    cdef Py_ssize_t size = text.shape[0], i, used = 0
    cdef Py_ssize_t ones = 0, zeros = 0
    cdef int code = 1
    cdef uint8_t c
    cdef uint8_t *out = <uint8_t *>malloc(size * 8 + WIDTH)
    if out == NULL:
        raise MemoryError
    try:
        with nogil:
            for i in range(size + 1):
                c = text[i] if i < size else 49
                if c == 48:
                    zeros += 1
                    continue
                if c != 49:
                    used = -1
                    break
                if zeros:
                    if ones != 1 and ones != dash:
                        used = -1
                        break
                    code = (code << 1) | (ones == dash)
                    if code >= CODES or (zeros != 1 and zeros != 3 and zeros != 7):
                        used = -1
                        break
                    if zeros > 1:
                        used = put_symbol(out, used, &symbols[code * WIDTH])
                        if used < 0:
                            break
                        if zeros == 7:
                            out[used] = 32
                            used += 1
                        code = 1
                    ones = zeros = 0
                ones += 1
        return None if used < 0 or code != 1 or ones != 1 else out[:used]
    finally:
        free(out)
