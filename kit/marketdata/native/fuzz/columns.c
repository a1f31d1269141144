/* Fuzzes venuemesh_write: what it writes is read back. One byte is the number of columns; of each
 * come kind, width of the numbers, how many, and the numbers. */

#include "../columns.c"

#include "input.h"

enum { COLUMNS_MAX = 6, ROOM_OF_NUMBER = 10, ROOM_OF_COLUMN = 30 };

static uint64_t read_varint(const uint8_t **at, const uint8_t *end)
{
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
        MUST(*at < end && shift < 64);
        value |= (uint64_t)(**at & 0x7f) << shift;
        if (!(*(*at)++ & 0x80))
            return value;
    }
}

static int64_t *numbers_of(struct input *in, int64_t count, int width)
{
    int64_t *made = array_of(count, sizeof(int64_t));
    for (int64_t place = 0; place < count; place++)
        made[place] = next_number(in, width);
    return made;
}

static int64_t sum_of(const int64_t *counts, int64_t count)
{
    int64_t sum = 0;
    for (int64_t place = 0; place < count; place++)
        sum += counts[place];
    return sum;
}

/* How many of each update, 0 to 3. */
static int64_t *counts_of(struct input *in, int64_t count)
{
    int64_t *made = numbers_of(in, count, 1);
    for (int64_t place = 0; place < count; place++)
        made[place] &= 3;
    return made;
}

static int64_t make_column(struct input *in, struct column *column, int32_t field)
{
    column->kind = next_byte(in) % 4;
    column->tag = field << 3 | 2;
    int width = 1 << next_byte(in) % 4;
    column->count = next_byte(in);
    if (column->kind != LEVELS) {
        column->values = numbers_of(in, column->count, width);
        return column->count;
    }
    column->value_counts = counts_of(in, column->count);
    column->more_counts = counts_of(in, column->count);
    int64_t first = sum_of(column->value_counts, column->count);
    int64_t second = sum_of(column->more_counts, column->count);
    column->values = numbers_of(in, first, width);
    column->more = numbers_of(in, second, width);
    return first + second;
}

static void check_number(const uint8_t **at, const uint8_t *end, int32_t kind, int64_t wanted)
{
    if (kind == FIXED) {
        int64_t found;
        MUST(end - *at >= 8);
        memcpy(&found, *at, sizeof found);
        *at += sizeof found;
        MUST(found == wanted);
        return;
    }
    uint64_t found = read_varint(at, end);
    if (kind != VARINT)
        found = found >> 1 ^ (0 - (found & 1));
    MUST((int64_t)found == wanted);
}

static void check_column(const struct column *column, const uint8_t **at, const uint8_t *end)
{
    MUST(read_varint(at, end) == (uint64_t)column->tag);
    uint64_t length = read_varint(at, end);
    MUST(length <= (uint64_t)(end - *at));
    end = *at + length;
    const int64_t *values = column->values, *more = column->more;
    for (int64_t row = 0; row < column->count; row++) {
        if (column->kind != LEVELS) {
            check_number(at, end, column->kind, *values++);
            continue;
        }
        for (int64_t level = 0; level < column->value_counts[row]; level++)
            check_number(at, end, LEVELS, *values++);
        for (int64_t level = 0; level < column->more_counts[row]; level++)
            check_number(at, end, LEVELS, *more++);
    }
    MUST(*at == end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    struct column columns[COLUMNS_MAX] = {0};
    int64_t count = next_byte(&in) % (COLUMNS_MAX + 1), room = 0;
    for (int64_t place = 0; place < count; place++)
        room += ROOM_OF_COLUMN +
                ROOM_OF_NUMBER * make_column(&in, columns + place, 1 + 20 * (int32_t)place);
    uint8_t *out = array_of(room + 1, 1); /* never null */
    int64_t length = venuemesh_write(columns, count, out);
    MUST(0 <= length && length <= room);
    const uint8_t *at = out;
    for (int64_t place = 0; place < count; place++) {
        check_column(columns + place, &at, out + length);
        free((void *)columns[place].values);
        free((void *)columns[place].value_counts);
        free((void *)columns[place].more);
        free((void *)columns[place].more_counts);
    }
    MUST(at == out + length);
    free(out);
    return 0;
}
