/* What the fuzz targets share: an input is read byte by byte, and what must hold is checked.
 *
 * Each target includes the C file that it tests, so that its static functions and its structures
 * are the real ones. Every array has exactly the size that the caller promises, so that
 * AddressSanitizer sees the first byte beyond it.
 */

#ifndef VENUEMESH_FUZZ_INPUT_H
#define VENUEMESH_FUZZ_INPUT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct input {
    const uint8_t *at, *end;
};

static inline uint8_t next_byte(struct input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

/* A signed little-endian number of up to `width` bytes. */
static inline int64_t next_number(struct input *in, int width)
{
    uint64_t value = 0;
    for (int place = 0; place < width; place++)
        value |= (uint64_t)next_byte(in) << 8 * place;
    int unused = 64 - 8 * width;
    return (int64_t)(value << unused) >> unused;
}

/* An array of exactly this size; of no elements null, as from native.address. */
static inline void *array_of(int64_t count, size_t size)
{
    if (count == 0)
        return NULL;
    void *made = malloc((size_t)count * size);
    MUST(made);
    return made;
}

/* Frames that stand one after another in a buffer of exactly their size, as in Frames. */
struct frames {
    uint8_t *buffer;
    int64_t *starts, *ends;
    int64_t count, length;
};

/* A zero byte in the input ends a frame. */
static inline struct frames frames_of(const struct input *in)
{
    int64_t size = in->end - in->at;
    struct frames made = {.count = 1};
    for (const uint8_t *at = in->at; at < in->end; at++)
        made.count += *at == 0;
    made.length = size - (made.count - 1);
    made.buffer = malloc((size_t)made.length); /* never null, as the bytes of Python */
    MUST(made.buffer);
    made.starts = array_of(made.count, sizeof(int64_t));
    made.ends = array_of(made.count, sizeof(int64_t));
    int64_t frame = 0, out = 0;
    made.starts[0] = 0;
    for (const uint8_t *at = in->at; at < in->end; at++) {
        if (*at) {
            made.buffer[out++] = *at;
        } else {
            made.ends[frame++] = out;
            made.starts[frame] = out;
        }
    }
    made.ends[frame] = out;
    return made;
}

static inline void free_frames(struct frames *frames)
{
    free(frames->buffer);
    free(frames->starts);
    free(frames->ends);
}

#endif
