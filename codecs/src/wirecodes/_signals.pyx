# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, initializedcheck=False
"""`_reference_signals`, compiled: the same functions, the same results bit for bit, without the GIL."""

from array import array

from cpython cimport array as c_array
from libc.math cimport cos, fmod, log, sin, sqrt
from libc.stdint cimport int16_t
from libc.stdlib cimport free, malloc

cdef double NEVER = -1e30
cdef double TURN = 6.283185307179586
cdef enum:
    MOST_LENGTHS = 256  # of a mark; longer ones do not occur

cdef c_array.array DOUBLES = array("d")
cdef c_array.array INTEGERS = array("i")


def thinned(const int16_t[::1] samples, Py_ssize_t step):
    cdef Py_ssize_t count = samples.shape[0] // step, k, j
    cdef c_array.array out = c_array.clone(DOUBLES, count, False)
    cdef double *target = out.data.as_doubles
    cdef long total
    with nogil:
        for k in range(count):
            total = 0
            for j in range(k * step, (k + 1) * step):
                total += samples[j]
            target[k] = <double>total / <double>step
    return out


def spectra(const double[::1] samples, Py_ssize_t points, Py_ssize_t hop, Py_ssize_t bins):
    cdef Py_ssize_t blocks = 0 if samples.shape[0] < points else (samples.shape[0] - points) // hop + 1
    cdef c_array.array out = c_array.clone(DOUBLES, blocks * bins, False)
    cdef double *target = out.data.as_doubles
    cdef double *room = <double *>malloc(5 * points * sizeof(double))
    cdef double *re = room
    cdef double *im = room + points
    cdef double *window = room + 2 * points
    cdef double *cosines = room + 3 * points
    cdef double *sines = room + 4 * points
    cdef Py_ssize_t *order = <Py_ssize_t *>malloc(points * sizeof(Py_ssize_t))
    cdef Py_ssize_t k, block, size = 1
    if room == NULL or order == NULL:
        free(room)
        free(order)
        raise MemoryError
    with nogil:
        order[0] = 0
        while size < points:
            for k in range(size):
                order[k] = 2 * order[k]
                order[k + size] = order[k] + 1
            size *= 2
        for k in range(points):
            window[k] = 0.5 - 0.5 * cos(TURN * k / points)
            cosines[k] = cos(TURN * k / points)
            sines[k] = -sin(TURN * k / points)
        for block in range(blocks):
            for k in range(points):
                re[k] = samples[block * hop + order[k]] * window[order[k]]
                im[k] = 0.0
            transform(re, im, cosines, sines, points)
            for k in range(bins):
                target[block * bins + k] = re[k] * re[k] + im[k] * im[k]
    free(room)
    free(order)
    return out


cdef void transform(double *re, double *im, const double *cosines, const double *sines, Py_ssize_t points) noexcept nogil:
    cdef Py_ssize_t half = 1, stride, first, k, a, b
    cdef double c, s, x, y
    while half < points:
        stride = points // (2 * half)
        first = 0
        while first < points:
            for k in range(half):
                c = cosines[k * stride]
                s = sines[k * stride]
                a = first + k
                b = a + half
                x = re[b] * c - im[b] * s
                y = re[b] * s + im[b] * c
                re[b] = re[a] - x
                im[b] = im[a] - y
                re[a] += x
                im[a] += y
            first += 2 * half
        half *= 2


def ridge(const double[::1] scores, Py_ssize_t bins, double step_cost, double jump_cost):
    cdef Py_ssize_t blocks = scores.shape[0] // bins, block, k
    cdef c_array.array path = c_array.clone(INTEGERS, blocks, True)
    cdef int *target = path.data.as_ints
    cdef int *came = <int *>malloc((blocks * bins + 1) * sizeof(int))
    cdef double *best = <double *>malloc(2 * bins * sizeof(double))
    cdef double *now = best + bins
    cdef double *former
    cdef double *room = best
    cdef double value, jump
    cdef int source, top
    if came == NULL or room == NULL:
        free(came)
        free(room)
        raise MemoryError
    with nogil:
        for k in range(bins if blocks else 0):
            best[k] = scores[k]
        for block in range(1, blocks):
            top = highest(best, bins)
            jump = best[top] - jump_cost
            for k in range(bins):
                value = best[k]
                source = <int>k
                if k > 0 and best[k - 1] - step_cost > value:
                    value = best[k - 1] - step_cost
                    source = <int>k - 1
                if k < bins - 1 and best[k + 1] - step_cost > value:
                    value = best[k + 1] - step_cost
                    source = <int>k + 1
                if jump > value:
                    value = jump
                    source = top
                now[k] = value + scores[block * bins + k]
                came[block * bins + k] = source
            former = best
            best = now
            now = former
        if blocks:
            top = highest(best, bins)
            for block in range(blocks - 1, -1, -1):
                target[block] = top
                if block:
                    top = came[block * bins + top]
    free(came)
    free(room)
    return path


cdef int highest(const double *values, Py_ssize_t count) noexcept nogil:
    cdef int top = 0, k
    for k in range(1, <int>count):
        if values[k] > values[top]:
            top = k
    return top


def mixed(const double[::1] samples, const double[::1] angles, Py_ssize_t length, double phase):
    cdef Py_ssize_t frames = angles.shape[0], frame, k
    cdef c_array.array first = c_array.clone(DOUBLES, frames, False)
    cdef c_array.array second = c_array.clone(DOUBLES, frames, False)
    cdef double *re = first.data.as_doubles
    cdef double *im = second.data.as_doubles
    cdef double c, s, turn_c, turn_s, x, y, next_c
    with nogil:
        for frame in range(frames):
            c = cos(phase)
            s = sin(phase)
            turn_c = cos(angles[frame])
            turn_s = sin(angles[frame])
            x = 0.0
            y = 0.0
            for k in range(frame * length, (frame + 1) * length):
                x += samples[k] * c
                y -= samples[k] * s
                next_c = c * turn_c - s * turn_s
                s = s * turn_c + c * turn_s
                c = next_c
            re[frame] = x / length
            im[frame] = y / length
            phase = fmod(phase + angles[frame] * length, TURN)
    return first, second


cdef struct Search:
    Py_ssize_t steps
    int nodes
    int first[5]
    int count[5]
    const double *cost[5]
    const int *parents
    const int *dashes
    const double *letters
    double *real
    double *imaginary
    double *square
    double *ended
    double *begun
    double *complete
    double *root
    int *mark_lengths
    int *gap_lengths
    int *complete_nodes
    int *root_lengths
    int *root_kinds


def likeliest(levels, tree, costs, firsts):
    cdef Search search
    cdef const double[::1] real = levels[0], imaginary = levels[1], square = levels[2], letters = tree[2]
    cdef const int[::1] parents = tree[0], dashes = tree[1]
    cdef const double[::1] cost
    cdef Py_ssize_t steps = real.shape[0], cells, index
    cdef double *doubles
    cdef int *integers
    cdef int last
    search.steps = steps
    search.nodes = <int>parents.shape[0]
    search.parents, search.dashes, search.letters = &parents[0], &dashes[0], &letters[0]
    kept = [array("d", values) for values in costs]
    for index in range(5):
        cost = kept[index]
        search.first[index], search.count[index], search.cost[index] = firsts[index], <int>cost.shape[0], &cost[0]
    if search.count[0] > MOST_LENGTHS or search.count[1] > MOST_LENGTHS:
        raise ValueError("too many lengths of a mark")
    cells = (steps + 1) * search.nodes
    doubles = <double *>malloc((2 * cells + 5 * (steps + 1)) * sizeof(double))
    integers = <int *>malloc((2 * cells + 3 * (steps + 1)) * sizeof(int))
    if doubles == NULL or integers == NULL:
        free(doubles)
        free(integers)
        raise MemoryError
    search.ended, search.begun = doubles, doubles + cells
    search.real = doubles + 2 * cells
    search.imaginary, search.square = search.real + steps + 1, search.real + 2 * (steps + 1)
    search.complete, search.root = search.real + 3 * (steps + 1), search.real + 4 * (steps + 1)
    search.mark_lengths, search.gap_lengths = integers, integers + cells
    search.complete_nodes = integers + 2 * cells
    search.root_lengths, search.root_kinds = search.complete_nodes + steps + 1, search.complete_nodes + 2 * (steps + 1)
    try:
        sums(real, search.real)
        sums(imaginary, search.imaginary)
        sums(square, search.square)
        with nogil:
            last = run(&search)
        if search.complete[last] <= 0:
            return 0.0, []
        return search.complete[last], marks(&search, last)
    finally:
        free(doubles)
        free(integers)


cdef void sums(const double[::1] values, double *target):
    cdef double total = 0.0
    cdef Py_ssize_t index
    target[0] = 0.0
    for index in range(values.shape[0]):
        total += values[index]
        target[index + 1] = total


cdef double log_bessel(double x) noexcept nogil:
    if x < 2:
        return log(1 + x * x / 4 * (1 + x * x / 16))
    return x - 0.5 * log(TURN * x) + log(1 + 0.125 / x + 0.0703125 / (x * x))


cdef int run(Search *search) noexcept nogil:
    """Fill the tables; the step at which the likeliest text ends."""
    cdef double values[2][MOST_LENGTHS]
    cdef int counts[2]
    cdef int now, last = 0, node, idle_since = 0, longest = search.first[4] + search.count[4] - 1
    cdef double idle = NEVER, word = search.cost[4][search.count[4] - 1]
    for now in range(<int>search.steps + 1):
        for node in range(2):
            counts[node] = mark_values(search, now, node, values[node])
        search.complete[now] = NEVER
        search.complete_nodes[now] = 0
        search.ended[<Py_ssize_t>now * search.nodes] = NEVER
        search.begun[<Py_ssize_t>now * search.nodes] = NEVER
        for node in range(1, search.nodes):
            end_mark(search, now, node, values[search.dashes[node]], counts[search.dashes[node]])
            end_gap(search, now, node)
        if now >= longest and search.complete[now - longest] - word > idle:
            idle = search.complete[now - longest] - word
            idle_since = now - longest
        begin_letter(search, now, idle, idle_since)
        if search.complete[now] > search.complete[last]:
            last = now
    return last


cdef int mark_values(Search *search, int now, int kind, double *values) noexcept nogil:
    """What a mark that ends now is worth, by its length; how many lengths there are room for."""
    cdef int index, start
    cdef double x, y
    for index in range(search.count[kind]):
        start = now - search.first[kind] - index
        if start < 0:
            return index
        x = search.real[now] - search.real[start]
        y = search.imaginary[now] - search.imaginary[start]
        values[index] = log_bessel(2 * sqrt(x * x + y * y)) - (search.square[now] - search.square[start]) - search.cost[kind][index]
    return search.count[kind]


cdef void end_mark(Search *search, int now, int node, const double *values, int count) noexcept nogil:
    cdef Py_ssize_t nodes = search.nodes, cell = now * nodes + node
    cdef int parent = search.parents[node], first = search.first[search.dashes[node]], index, best_length = 0
    cdef double best = NEVER, value
    for index in range(count):
        if parent == 0:
            value = search.root[now - first - index] + values[index]
        else:
            value = search.begun[(now - first - index) * nodes + parent] + values[index]
        if value > best:
            best = value
            best_length = first + index
    search.ended[cell] = best
    search.mark_lengths[cell] = best_length
    if best - search.letters[node] > search.complete[now]:
        search.complete[now] = best - search.letters[node]
        search.complete_nodes[now] = node


cdef void end_gap(Search *search, int now, int node) noexcept nogil:
    cdef Py_ssize_t nodes = search.nodes, cell = now * nodes + node
    cdef int index, length, best_length = 0
    cdef double best = NEVER, value
    for index in range(search.count[2]):
        length = search.first[2] + index
        if length > now:
            break
        value = search.ended[(now - length) * nodes + node] - search.cost[2][index]
        if value > best:
            best = value
            best_length = length
    search.begun[cell] = best
    search.gap_lengths[cell] = best_length


cdef void begin_letter(Search *search, int now, double idle, int idle_since) noexcept nogil:
    cdef double best = 0.0, value
    cdef int best_length = now, best_kind = 3, kind, index, length
    for kind in range(3, 5):
        for index in range(search.count[kind]):
            length = search.first[kind] + index
            if length > now:
                break
            value = search.complete[now - length] - search.cost[kind][index]
            if value > best:
                best = value
                best_length = length
                best_kind = kind - 2
    if idle > best:
        best = idle
        best_length = now - idle_since
        best_kind = 2
    search.root[now] = best
    search.root_lengths[now] = best_length
    search.root_kinds[now] = best_kind


cdef list marks(Search *search, int now):
    cdef Py_ssize_t nodes = search.nodes
    cdef int node = search.complete_nodes[now], start, parent
    found = []
    while True:
        start = now - search.mark_lengths[now * nodes + node]
        parent = search.parents[node]
        if parent:
            found.append((start, now, node, 0))
            now = start - search.gap_lengths[start * nodes + parent]
            node = parent
            continue
        found.append((start, now, node, search.root_kinds[start]))
        if search.root_kinds[start] == 3:
            break
        now = start - search.root_lengths[start]
        node = search.complete_nodes[now]
    found.reverse()
    return found
