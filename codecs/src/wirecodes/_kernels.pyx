# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""`_reference`, compiled: the same functions, the same results bit for bit, without the GIL.

Only good blocks are decoded here. At the first one that is not right, what came before it is returned; a call that begins
with such a block is left to `_reference`, so that both find the same error at the same place.

Longer than other files, because C functions that are to be inlined into each other have to stand in one.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.ref cimport Py_DECREF, PyObject
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from wirecodes import _reference

cdef extern from "_bits.h" nogil:
    void prefer_huge_pages(uint8_t *start, size_t size)
    uint64_t load64(const uint8_t *source)
    void store64(uint8_t *target, uint64_t word)
    uint32_t reversed_bits(uint32_t word, int count)
    void crc_prepare()
    uint32_t crc32_of(uint32_t crc, const uint8_t *data, size_t size)

cdef extern from "Python.h":
    PyObject *new_bytes "PyBytes_FromStringAndSize"(const char *, Py_ssize_t) except NULL
    char *bytes_start "PyBytes_AS_STRING"(PyObject *)
    int resize_bytes "_PyBytes_Resize"(PyObject **, Py_ssize_t) except -1

cdef enum:
    SYMBOLS = 256
    MAX_BITS = 12
    WINDOWS = 4096
    BLOCK = 32768
    MAX_BLOCK = 131072
    FOUR_STREAMS = 1024
    MIN_FOUR_STREAMS = 16
    HEADER = 8
    SIZE = 3
    STREAM_SIZES = 6
    END = 0
    STORED = 1
    SINGLE = 2
    ONE_STREAM = 3
    STREAMS = 4
    SHORT_ZEROS = 13
    LONG_ZEROS = 14
    REPEAT = 15
    SHORTEST_RUN = 3
    LONG_RUN = 19
    MOST_ITEMS = 512  # of one level of package-merge: at most two less than twice the symbols count
    TABLE_SPACE = 160  # 256 nibbles and some
    WORD = 8  # bytes that are loaded and stored at once
    # What coded content may take before it is found to be no shorter, and is stored.
    BODY_SPACE = TABLE_SPACE + STREAM_SIZES + BLOCK * MAX_BITS // 8 + 8 * WORD

#: Sums of counts stay far below the 64 bits that a level's weights have, whatever its packages add up.
cdef uint64_t MOST_COUNTED = <uint64_t>1 << 50

#: Bytes counted before the totals are added up: 32 bits hold so many for certain.
cdef size_t MOST_AT_ONCE = 1 << 30

#: What encoding one block needs.
cdef struct Workshop:
    uint32_t counts[4][SYMBOLS]
    uint64_t totals[SYMBOLS]
    uint8_t lengths[SYMBOLS]
    uint16_t words[SYMBOLS]
    uint64_t keys[SYMBOLS + 1]
    uint64_t weights[2][MOST_ITEMS + 2]
    uint16_t leaves[MAX_BITS][MOST_ITEMS + 2]
    uint64_t sorted[SYMBOLS]

#: What decoding one block needs.
cdef struct Reader:
    uint8_t lengths[SYMBOLS + 304]  # a run may go on behind the last symbol, which is an error found afterwards
    uint16_t windows[WINDOWS]  # symbol << 8 | length, by the next MAX_BITS bits

crc_prepare()


# Counting and codes

cdef void count(const uint8_t *data, size_t size, uint32_t (*counts)[SYMBOLS], uint64_t *totals) noexcept nogil:
    """Four tables, so that equal neighbours do not wait for each other."""
    cdef size_t index = 0
    cdef uint64_t word
    cdef int symbol
    memset(counts, 0, 4 * SYMBOLS * sizeof(uint32_t))
    while index + WORD <= size:
        word = load64(data + index)
        counts[0][word & 255] += 1
        counts[1][word >> 8 & 255] += 1
        counts[2][word >> 16 & 255] += 1
        counts[3][word >> 24 & 255] += 1
        counts[0][word >> 32 & 255] += 1
        counts[1][word >> 40 & 255] += 1
        counts[2][word >> 48 & 255] += 1
        counts[3][word >> 56] += 1
        index += WORD
    while index < size:
        counts[0][data[index]] += 1
        index += 1
    for symbol in range(SYMBOLS):
        totals[symbol] += <uint64_t>counts[0][symbol] + counts[1][symbol] + counts[2][symbol] + counts[3][symbol]


cdef void sort(uint64_t *keys, uint64_t *spare, int size) noexcept nogil:
    """By byte, the lowest that differ first; counts of a block differ in two bytes, so there are mostly two rounds."""
    cdef int ends[SYMBOLS]
    cdef uint64_t *source = keys
    cdef uint64_t *target = spare
    cdef uint64_t *former
    cdef uint64_t differing = 0
    cdef int shift, index, value, total, count
    for index in range(1, size):
        differing |= keys[index] ^ keys[0]
    for shift in range(8, 64, 8):  # the lowest byte is the symbol: the keys come sorted by that
        if differing >> shift & 255 == 0:
            continue
        memset(ends, 0, sizeof(ends))
        for index in range(size):
            ends[source[index] >> shift & 255] += 1
        total = 0
        for value in range(SYMBOLS):
            count = ends[value]
            ends[value] = total
            total += count
        for index in range(size):
            value = source[index] >> shift & 255
            target[ends[value]] = source[index]
            ends[value] += 1
        former = source
        source = target
        target = former
    if source != keys:
        memcpy(keys, source, size * sizeof(uint64_t))


cdef int merge_level(Workshop *shop, int level, int leaves, int items) noexcept nogil:
    """Merge the symbols with the packages of the level before, of `items` items; how many items there are then."""
    cdef uint64_t *before = shop.weights[(level + 1) & 1]
    cdef uint64_t *now = shop.weights[level & 1]
    cdef int packages = items // 2
    cdef int total = leaves + packages
    cdef int leaf = 0, package = 0, item, is_leaf
    cdef uint64_t weight
    for item in range(packages):
        before[item] = before[2 * item] + before[2 * item + 1]
    before[packages] = <uint64_t>-1
    if total > 2 * leaves - 2:
        total = 2 * leaves - 2
    for item in range(total):
        weight = shop.keys[leaf] >> 8
        is_leaf = weight <= before[package]
        now[item] = weight if is_leaf else before[package]
        leaf += is_leaf
        package += 1 - is_leaf
        shop.leaves[level][item] = leaf
    return total


cdef void find_lengths(Workshop *shop, int limit) noexcept nogil:
    """Package-merge over the totals, of which at least two are not zero."""
    cdef int leaves = 0, symbol, level, items = 0, taken, index, from_leaves
    memset(shop.lengths, 0, SYMBOLS)
    for symbol in range(SYMBOLS):
        if shop.totals[symbol]:
            shop.keys[leaves] = shop.totals[symbol] << 8 | symbol
            leaves += 1
    sort(shop.keys, shop.sorted, leaves)
    shop.keys[leaves] = <uint64_t>-1
    for level in range(limit):
        items = merge_level(shop, level, leaves, items)
    taken = 2 * leaves - 2
    for level in range(limit - 1, -1, -1):
        if taken == 0:
            break
        from_leaves = shop.leaves[level][taken - 1]
        for index in range(from_leaves):
            shop.lengths[shop.keys[index] & 255] += 1
        taken = 2 * (taken - from_leaves)


cdef void find_fano_lengths(Workshop *shop, int limit) noexcept nogil:
    """Parting the symbols, most frequent first, again and again in two, over the totals."""
    cdef int starts[SYMBOLS]
    cdef int ends[SYMBOLS]
    cdef int depths[SYMBOLS]
    cdef int leaves = 0, symbol, waiting = 1, start, end, depth, place, last, cut
    cdef uint64_t sums[SYMBOLS + 1]
    cdef uint64_t middle, distance, least
    memset(shop.lengths, 0, SYMBOLS)
    for symbol in range(SYMBOLS):
        if shop.totals[symbol]:
            shop.keys[leaves] = (MOST_COUNTED - shop.totals[symbol]) << 8 | symbol
            leaves += 1
    sort(shop.keys, shop.sorted, leaves)
    sums[0] = 0
    for place in range(leaves):
        sums[place + 1] = sums[place] + shop.totals[shop.keys[place] & 255]
    starts[0], ends[0], depths[0] = 0, leaves, 0
    while waiting:
        waiting -= 1
        start, end, depth = starts[waiting], ends[waiting], depths[waiting]
        if end - start == 1:
            shop.lengths[shop.keys[start] & 255] = depth
            continue
        middle = sums[start] + sums[end]
        last = min(end - 1, start + (1 << (limit - depth - 1)))
        place = max(start + 1, end - (1 << (limit - depth - 1)))
        least = <uint64_t>-1
        cut = place
        while place <= last:
            distance = 2 * sums[place] - middle if 2 * sums[place] > middle else middle - 2 * sums[place]
            if distance < least:
                least = distance
                cut = place
            place += 1
        starts[waiting], ends[waiting], depths[waiting] = start, cut, depth + 1
        starts[waiting + 1], ends[waiting + 1], depths[waiting + 1] = cut, end, depth + 1
        waiting += 2


cdef void find_words(const uint8_t *lengths, uint16_t *words) noexcept nogil:
    """The canonical code, each word with its first bit lowest."""
    cdef int counts[16]
    cdef uint32_t next_word[16]
    cdef int symbol, length
    memset(counts, 0, sizeof(counts))
    for symbol in range(SYMBOLS):
        counts[lengths[symbol]] += 1
    counts[0] = 0
    next_word[0] = 0
    for length in range(1, MAX_BITS + 1):
        next_word[length] = (next_word[length - 1] + counts[length - 1]) << 1
    for symbol in range(SYMBOLS):
        length = lengths[symbol]
        if length:
            words[symbol] = reversed_bits(next_word[length], length)
            next_word[length] += 1


# Encoding

cdef size_t write_table(const uint8_t *lengths, uint8_t *target) noexcept nogil:
    """How many bytes the table took."""
    cdef uint8_t nibbles[2 * TABLE_SPACE]
    cdef int written = 0, index = 0, length, run, more
    while index < SYMBOLS:
        length = lengths[index]
        run = 1
        while index + run < SYMBOLS and lengths[index + run] == length:
            run += 1
        if length == 0 and run >= LONG_RUN:
            more = run - LONG_RUN
            nibbles[written] = LONG_ZEROS
            nibbles[written + 1] = more & 15
            nibbles[written + 2] = more >> 4
            written += 3
        elif length == 0 and run >= SHORTEST_RUN:
            nibbles[written] = SHORT_ZEROS
            nibbles[written + 1] = run - SHORTEST_RUN
            written += 2
        elif length and run > SHORTEST_RUN:
            run = min(run, LONG_RUN)
            nibbles[written] = length
            nibbles[written + 1] = REPEAT
            nibbles[written + 2] = run - 1 - SHORTEST_RUN
            written += 3
        else:
            run = 1
            nibbles[written] = length
            written += 1
        index += run
    nibbles[written] = 0
    for index in range((written + 1) // 2):
        target[index] = nibbles[2 * index] | nibbles[2 * index + 1] << 4
    return (written + 1) // 2


cdef uint8_t *write_stream(const Workshop *shop, const uint8_t *data, size_t size, uint8_t *target) noexcept nogil:
    """Where the stream ends; up to eight bytes behind are touched. Four words are at most 48 bits, and 7 may be left."""
    cdef uint64_t bits = 0, first, second
    cdef uint32_t held = 0, first_bits, second_bits, symbols
    cdef size_t index = 0
    cdef uint8_t a, b, c, d
    while index + 4 <= size:
        a = data[index]
        b = data[index + 1]
        c = data[index + 2]
        d = data[index + 3]
        first = shop.words[a] | <uint64_t>shop.words[b] << shop.lengths[a]
        first_bits = shop.lengths[a] + shop.lengths[b]
        second = shop.words[c] | <uint64_t>shop.words[d] << shop.lengths[c]
        second_bits = shop.lengths[c] + shop.lengths[d]
        bits |= (first | second << first_bits) << held
        held += first_bits + second_bits
        store64(target, bits)
        target += held >> 3
        bits >>= held & 56
        held &= 7
        index += 4
    while index < size:
        bits |= <uint64_t>shop.words[data[index]] << held
        held += shop.lengths[data[index]]
        store64(target, bits)
        target += held >> 3
        bits >>= held & 56
        held &= 7
        index += 1
    if held:
        target[0] = <uint8_t>bits
        target += 1
    return target


cdef size_t write_body(
    Workshop *shop, const uint8_t *data, size_t size, int kind, bint fano, uint8_t *body
) noexcept nogil:
    """The table and the streams of a block; the size, or 0 where it is plain that nothing can be saved."""
    cdef uint64_t total = 0
    cdef size_t part = size if kind == ONE_STREAM else (size + 3) // 4
    cdef size_t start = 0, bytes_written, length
    cdef uint8_t *target = body
    cdef uint8_t *sizes
    cdef uint8_t *end
    cdef int symbol
    if fano:
        find_fano_lengths(shop, MAX_BITS)
    else:
        find_lengths(shop, MAX_BITS)
    for symbol in range(SYMBOLS):
        total += shop.totals[symbol] * shop.lengths[symbol]
    if total // 8 >= size:
        return 0
    find_words(shop.lengths, shop.words)
    target += write_table(shop.lengths, target)
    sizes = target
    if kind == STREAMS:
        target += STREAM_SIZES
    while start < size:
        length = min(part, size - start)
        end = write_stream(shop, data + start, length, target)
        if kind == STREAMS and start < 3 * part:
            bytes_written = end - target
            sizes[0] = bytes_written & 255
            sizes[1] = bytes_written >> 8
            sizes += 2
        target = end
        start += length
    return target - body


cdef size_t write_block(
    Workshop *shop, const uint8_t *data, size_t size, uint32_t check, uint8_t *target, bint fano
) noexcept nogil:
    """How many bytes the block took, header and all."""
    cdef int kind = STREAMS if size >= FOUR_STREAMS else ONE_STREAM
    cdef size_t body = 0
    memset(shop.totals, 0, sizeof(shop.totals))
    count(data, size, shop.counts, shop.totals)
    if shop.totals[data[0]] == size:
        kind = SINGLE
    else:
        body = write_body(shop, data, size, kind, fano, target + HEADER + SIZE)
        if body == 0 or SIZE + body >= size:
            kind = STORED
    store64(target, kind | <uint64_t>size << 8 | <uint64_t>check << 32)
    target += HEADER
    if kind == SINGLE:
        target[0] = data[0]
        return HEADER + 1
    if kind == STORED:
        memcpy(target, data, size)
        return HEADER + size
    target[0] = body & 255
    target[1] = body >> 8 & 255
    target[2] = body >> 16
    return HEADER + SIZE + body


# Decoding

cdef int64_t extent(const uint8_t *data, size_t size, size_t position) noexcept nogil:
    """Where the block at `position` ends; beyond `size` where it is not complete, -1 where it is wrong."""
    cdef size_t length, body = position + HEADER
    cdef uint64_t header
    cdef int kind
    if size < body:
        return size + 1
    header = load64(data + position)
    kind = header & 255
    length = header >> 8 & 0xFFFFFF
    if kind > STREAMS or (kind == END) != (length == 0) or length > MAX_BLOCK:
        return -1
    if kind == STREAMS and length < MIN_FOUR_STREAMS:
        return -1
    if kind < ONE_STREAM:
        return body + (0 if kind == END else length if kind == STORED else 1)
    if size < body + SIZE:
        return size + 1
    size = data[body] | data[body + 1] << 8 | data[body + 2] << 16
    return -1 if SIZE + size >= length else <int64_t>(body + SIZE + size)


cdef int64_t read_table(Reader *reader, const uint8_t *body, size_t size) noexcept nogil:
    """How many bytes the table has, or -1."""
    cdef size_t taken = 0, last = 2 * size
    cdef int told = 0, nibble, run, after_zeros = 0
    cdef uint32_t sum = 0
    while told < SYMBOLS:
        if taken >= last:
            return -1
        nibble = body[taken >> 1] >> 4 * (taken & 1) & 15
        taken += 1
        if after_zeros and (nibble == 0 or nibble == SHORT_ZEROS or nibble == LONG_ZEROS):
            return -1
        after_zeros = nibble == SHORT_ZEROS or nibble == LONG_ZEROS
        if nibble <= MAX_BITS:
            reader.lengths[told] = nibble
            told += 1
            sum += WINDOWS >> nibble if nibble else 0
            continue
        if taken + (2 if nibble == LONG_ZEROS else 1) > last or (nibble == REPEAT and told == 0):
            return -1
        run = SHORTEST_RUN + (body[taken >> 1] >> 4 * (taken & 1) & 15)
        taken += 1
        if nibble == LONG_ZEROS:
            run += LONG_RUN - SHORTEST_RUN + 16 * (body[taken >> 1] >> 4 * (taken & 1) & 15)
            taken += 1
        nibble = reader.lengths[told - 1] if nibble == REPEAT else 0
        memset(reader.lengths + told, nibble, run)
        sum += run * (WINDOWS >> nibble) if nibble else 0
        told += run
    if told > SYMBOLS or sum != WINDOWS or (taken & 1 and body[taken >> 1] >> 4):
        return -1
    return (taken + 1) // 2


cdef void fill_windows(Reader *reader) noexcept nogil:
    """Length by length: the windows of so many bits are those of one less twice, and the words of that length."""
    cdef uint16_t words[SYMBOLS]
    cdef uint8_t by_length[MAX_BITS + 1][SYMBOLS]
    cdef int counts[MAX_BITS + 1]
    cdef int symbol, length, index
    find_words(reader.lengths, words)
    memset(counts, 0, sizeof(counts))
    for symbol in range(SYMBOLS):
        length = reader.lengths[symbol]
        by_length[length][counts[length]] = symbol
        counts[length] += 1
    for length in range(1, MAX_BITS + 1):
        if length > 1:
            memcpy(reader.windows + (1 << (length - 1)), reader.windows, sizeof(uint16_t) << (length - 1))
        for index in range(counts[length]):
            symbol = by_length[length][index]
            reader.windows[words[symbol]] = symbol << 8 | length


cdef uint64_t load_tail(const uint8_t *data, size_t left) noexcept nogil:
    """The next bytes as a word, zeros where there are none left."""
    cdef uint64_t word = 0
    cdef size_t index
    if left >= WORD:
        return load64(data)
    for index in range(left):
        word |= <uint64_t>data[index] << 8 * index
    return word


cdef bint read_tail(const Reader *reader, const uint8_t *stream, size_t size, size_t bit, uint8_t *target, uint8_t *end) noexcept nogil:
    """The last symbols of a stream, from `bit` on, without a step beyond its end; whether it ends as it must."""
    cdef uint16_t window
    while target < end:
        if bit >= 8 * size:
            return False
        window = reader.windows[load_tail(stream + bit // 8, size - bit // 8) >> (bit & 7) & (WINDOWS - 1)]
        target[0] = window >> 8
        target += 1
        bit += window & 255
    return (bit + 7) // 8 == size and (bit & 7 == 0 or stream[size - 1] >> (bit & 7) == 0)


cdef bint read_four(const Reader *reader, const uint8_t *body, size_t size, uint8_t *target, size_t length) noexcept nogil:
    """Four streams side by side while each has enough left to be read without looking, then the rest of each."""
    cdef size_t part = (length + 3) // 4, done = 0
    cdef size_t starts[5]
    cdef const uint8_t *places[4]
    cdef uint64_t bits[4]
    cdef uint32_t held[4]
    cdef int lane
    if size < STREAM_SIZES:
        return False
    starts[0] = STREAM_SIZES
    for lane in range(3):
        starts[lane + 1] = starts[lane] + (body[2 * lane] | body[2 * lane + 1] << 8)
    starts[4] = size
    if starts[3] > size:
        return False
    for lane in range(4):
        places[lane] = body + starts[lane]
        bits[lane] = 0
        held[lane] = 0
    if size >= WORD:
        done = read_rounds(reader.windows, places, bits, held, body + size - WORD, target, part, length - 3 * part)
    for lane in range(4):
        if not read_tail(
            reader,
            body + starts[lane],
            starts[lane + 1] - starts[lane],
            8 * (places[lane] - body - starts[lane]) - held[lane],
            target + lane * part + done,
            target + (length if lane == 3 else (lane + 1) * part),
        ):
            return False
    return True


cdef size_t read_rounds(
    const uint16_t *windows, const uint8_t **places, uint64_t *all_bits, uint32_t *all_held,
    const uint8_t *limit, uint8_t *target, size_t part, size_t shortest,
) noexcept nogil:
    """Four symbols of each stream a round, as long as all places stay up to `limit`; how many symbols of each that were.

    A round loads what fits (at least 56 bits, of which it uses 48) and goes on by at most 7 bytes.
    """
    cdef size_t done = 0, rounds, index
    cdef const uint8_t *place[4]
    cdef uint64_t bits[4]
    cdef uint32_t held[4]
    cdef int lane, step
    cdef uint16_t window
    for lane in range(4):
        place[lane] = places[lane]
        bits[lane] = 0
        held[lane] = 0
    while True:
        rounds = (shortest - done) // 4
        for lane in range(4):
            rounds = min(rounds, <size_t>(limit - place[lane]) // 7 + 1) if place[lane] <= limit else 0
        if rounds == 0:
            break
        for index in range(done, done + 4 * rounds, 4):
            for lane in range(4):
                bits[lane] |= load64(place[lane]) << held[lane]
                place[lane] += (63 - held[lane]) >> 3
                held[lane] |= 56
            for step in range(4):
                for lane in range(4):
                    window = windows[bits[lane] & (WINDOWS - 1)]
                    bits[lane] >>= window & 63
                    held[lane] -= window & 255
                    target[lane * part + index + step] = window >> 8
        done += 4 * rounds
    for lane in range(4):
        places[lane] = place[lane]
        all_held[lane] = held[lane]
    return done


cdef bint read_body(Reader *reader, int kind, const uint8_t *body, size_t size, uint8_t *target, size_t length) noexcept nogil:
    """Decode what follows the size of a coded block; whether it is right."""
    cdef int64_t table = read_table(reader, body, size)
    if table < 0:
        return False
    fill_windows(reader)
    body += table
    size -= table
    if kind == STREAMS:
        return read_four(reader, body, size, target, length)
    return read_tail(reader, body, size, 0, target, target + length)


cdef bint read_block(const uint8_t *block, size_t size, uint32_t *check, uint8_t *target) noexcept nogil:
    """Decode a complete block whose header is right; whether the rest of it is, the checksum too."""
    cdef Reader reader
    cdef uint64_t header = load64(block)
    cdef int kind = header & 255
    cdef size_t length = header >> 8 & 0xFFFFFF
    if kind == STORED:
        memcpy(target, block + HEADER, length)
    elif kind == SINGLE:
        memset(target, block[HEADER], length)
    elif kind != END:
        if not read_body(&reader, kind, block + HEADER + SIZE, size - HEADER - SIZE, target, length):
            return False
    check[0] = crc32_of(check[0], target, length)
    return check[0] == header >> 32


#: How far a call has come.
cdef struct Progress:
    size_t position
    size_t written
    uint32_t check
    bint ended


cdef size_t room_needed(const uint8_t *data, size_t size, size_t position, size_t room) noexcept nogil:
    """The length of the content of the complete blocks, up to a wrong one, the end mark or the end of the room."""
    cdef size_t total = 0, length
    cdef int64_t end = extent(data, size, position)
    while 0 <= end <= <int64_t>size:
        length = load64(data + position) >> 8 & 0xFFFFFF
        if length == 0 or total + length > room:
            break
        total += length
        position = end
        end = extent(data, size, position)
    return total


cdef bint read_blocks(const uint8_t *data, size_t size, size_t room, uint8_t *target, Progress *progress) noexcept nogil:
    """Decode the complete blocks for which there is room; False at a wrong one."""
    cdef int64_t end
    cdef size_t length
    cdef uint32_t check
    while not progress.ended:
        end = extent(data, size, progress.position)
        if end > <int64_t>size:
            return True
        if end < 0:
            return False
        length = load64(data + progress.position) >> 8 & 0xFFFFFF
        if progress.written + length > room:
            return True
        check = progress.check
        if not read_block(data + progress.position, end - progress.position, &check, target + progress.written):
            return False
        progress.check = check
        progress.ended = length == 0
        progress.written += length
        progress.position = end
    return True


# What Python calls

def histogram(const uint8_t[::1] data not None):
    """How often each of the 256 bytes occurs."""
    cdef uint32_t counts[4][SYMBOLS]
    cdef uint64_t totals[SYMBOLS]
    cdef size_t size = data.shape[0], length
    cdef const uint8_t *source = &data[0] if size else NULL
    memset(totals, 0, sizeof(totals))
    with nogil:
        while size:
            length = min(size, MOST_AT_ONCE)
            count(source, length, counts, totals)
            source += length
            size -= length
    return [totals[symbol] for symbol in range(SYMBOLS)]


def code_lengths(counts, int limit=MAX_BITS):
    """The lengths of an optimal prefix code of at most `limit` bits; 0 for symbols that do not occur."""
    return lengths_by(counts, limit, False)


def fano_lengths(counts, int limit=MAX_BITS):
    """The lengths of Shannon and Fano's code."""
    return lengths_by(counts, limit, True)


cdef bytes lengths_by(counts, int limit, bint fano):
    cdef Workshop *shop
    cdef int symbol
    _reference.check_counts(counts, limit)
    if sum(counts) > MOST_COUNTED:
        return _reference.fano_lengths(counts, limit) if fano else _reference.code_lengths(counts, limit)
    shop = <Workshop *>malloc(sizeof(Workshop))
    if shop == NULL:
        raise MemoryError
    try:
        for symbol in range(SYMBOLS):
            shop.totals[symbol] = counts[symbol]
        with nogil:
            if fano:
                find_fano_lengths(shop, limit)
            else:
                find_lengths(shop, limit)
        return PyBytes_FromStringAndSize(<char *>shop.lengths, SYMBOLS)
    finally:
        free(shop)


def encode_blocks(const uint8_t[::1] data not None, uint32_t check, bint fano=False, bytes before=b"", bint end=False):
    """`before`, then `data` as blocks of BLOCK bytes, the last one shorter, and the checksum of all content so far.

    With `end` also the end mark.
    """
    cdef size_t size = data.shape[0], length, written = len(before)
    cdef const uint8_t *source = &data[0] if size else NULL
    cdef size_t most = written + size + HEADER * ((size + BLOCK - 1) // BLOCK) + 2 * HEADER + SIZE + BODY_SPACE
    cdef PyObject *out = new_bytes(NULL, most)
    cdef uint8_t *target = <uint8_t *>bytes_start(out)
    cdef Workshop *shop = <Workshop *>malloc(sizeof(Workshop))
    if shop == NULL:
        shortened(out, 0)
        raise MemoryError
    prefer_huge_pages(target, most)
    memcpy(target, PyBytes_AS_STRING(before), written)
    with nogil:
        while size:
            length = min(size, <size_t>BLOCK)
            check = crc32_of(check, source, length)
            written += write_block(shop, source, length, check, target + written, fano)
            source += length
            size -= length
    free(shop)
    if end:
        store64(target + written, END | <uint64_t>check << 32)
        written += HEADER
    return shortened(out, written), check


cdef bytes shortened(PyObject *out, size_t size):
    """Give back the memory that new bytes did not need, without a copy."""
    resize_bytes(&out, size)
    result = <bytes>out
    Py_DECREF(result)  # the reference that `out` was is now the result's
    return result


def decode_blocks(const uint8_t[::1] data not None, size_t position, uint32_t check, size_t room):
    """The content of the whole blocks from `position` on, as far as `room` bytes take it (at least MAX_BLOCK).

    Also where the blocks used end, the new checksum, and whether the end mark was among them.
    """
    cdef size_t size = data.shape[0], needed
    cdef const uint8_t *source = &data[0] if size else NULL
    cdef bytes out
    cdef uint8_t *target
    cdef bint right
    cdef Progress progress
    progress.position, progress.written, progress.check, progress.ended = position, 0, check, False
    needed = room_needed(source, size, position, room)
    out = PyBytes_FromStringAndSize(NULL, needed)
    target = <uint8_t *>PyBytes_AS_STRING(out)
    prefer_huge_pages(target, needed)
    with nogil:
        right = read_blocks(source, size, needed, target, &progress)
    if not right and progress.position == position:
        return _reference.decode_blocks(bytes(data), position, check, room)
    return out if progress.written == needed else out[: progress.written], progress.position, progress.check, bool(progress.ended)
