/* Fuzzes venuemesh_classify: two bytes are the window, one the number of patterns; then come the
 * patterns, each with its length before it, and then the frames. */

#include "../frames.c"

#include "input.h"

enum { PATTERNS_MAX = 8, PATTERN_BYTES_MAX = 32 };

/* Whether a pattern stands in a window, the plain way. */
static int stands_plainly(const uint8_t *from, int64_t length, const char *pattern, int64_t wanted)
{
    for (int64_t at = 0; at + wanted <= length; at++)
        if (memcmp(from + at, pattern, (size_t)wanted) == 0)
            return 1;
    return 0;
}

static int64_t kind_of(const struct frames *frames, int64_t row, char *const *patterns,
                       const int64_t *lengths, int64_t count, int64_t window)
{
    const uint8_t *from = frames->buffer + frames->starts[row];
    int64_t length = frames->ends[row] - frames->starts[row];
    int64_t size = window < 0 ? -window : window;
    size = size < length ? size : length;
    from += window < 0 ? length - size : 0;
    for (int64_t kind = 0; kind < count; kind++)
        if (stands_plainly(from, size, patterns[kind], lengths[kind]))
            return kind;
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    int64_t window = next_number(&in, 2), count = next_byte(&in) % (PATTERNS_MAX + 1);
    char *patterns[PATTERNS_MAX];
    int64_t lengths[PATTERNS_MAX];
    for (int64_t kind = 0; kind < count; kind++) {
        lengths[kind] = 1 + next_byte(&in) % PATTERN_BYTES_MAX;
        patterns[kind] = array_of(lengths[kind], 1);
        for (int64_t place = 0; place < lengths[kind]; place++)
            patterns[kind][place] = (char)next_byte(&in);
    }
    struct frames frames = frames_of(&in);
    int64_t *kinds = array_of(frames.count, sizeof(int64_t));
    venuemesh_classify(frames.buffer, frames.starts, frames.ends, frames.count,
                       (const char *const *)patterns, lengths, count, window, kinds);
    for (int64_t row = 0; row < frames.count; row++)
        MUST(kinds[row] == kind_of(&frames, row, patterns, lengths, count, window));
    free(kinds);
    free_frames(&frames);
    for (int64_t kind = 0; kind < count; kind++)
        free(patterns[kind]);
    return 0;
}
