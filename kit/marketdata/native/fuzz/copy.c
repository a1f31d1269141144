/* Fuzzes venuemesh_copied: one byte is the number of columns, one for each column its kind and
 * whether it may be null, one the size of the pieces in which the rest arrives. */

#include "../copy.c"

#include "input.h"

enum { COLUMNS_MAX = 6, NULLABLE = 128 };

static void *grown(void *old, int64_t used, int64_t count, size_t size)
{
    void *made = array_of(count, size);
    if (used)
        memcpy(made, old, (size_t)used * size);
    free(old);
    return made;
}

/* Room for all rows that so many bytes can hold, as CompiledCopyDecoder makes it. */
static void make_room(struct copied *out, int64_t length)
{
    int64_t rows = out->row_count + length / (7 + 4 * out->column_count) + 1;
    for (int64_t place = 0; place < out->column_count; place++) {
        struct copied_column *column = out->columns + place;
        column->values = grown(column->values, out->row_count, rows, sizeof(int64_t));
        if (column->kind != COPIED_INTEGER)
            column->seconds = grown(column->seconds, out->row_count, rows, sizeof(int64_t));
        if (column->reserved)
            column->nulls = grown(column->nulls, out->row_count, rows, 1);
    }
    out->pool = grown(out->pool, out->pool_length, out->pool_length + length, 1);
}

static void check(const struct copied *out)
{
    int64_t pooled = 0;
    for (int64_t row = 0; row < out->row_count; row++)
        for (int64_t place = 0; place < out->column_count; place++) {
            const struct copied_column *column = out->columns + place;
            if (column->kind == COPIED_NUMERIC) {
                int64_t value = column->values[row];
                MUST((uint64_t)(value < 0 ? -value : value) <= UNSCALED_MAX);
                MUST(column->seconds[row] >= 0);
            } else if (column->kind == COPIED_BYTES && !(column->nulls && column->nulls[row])) {
                MUST(column->values[row] == pooled);
                MUST(column->seconds[row] >= 0);
                pooled += column->seconds[row];
            }
        }
    MUST(pooled == out->pool_length);
}

/* Feed pieces; what was not read of one stands before the next. */
static void feed(struct copied *out, struct input *in, int64_t step)
{
    const uint8_t *begin = in->at, *end = in->at;
    while (end < in->end) {
        end += in->end - end < step ? in->end - end : step;
        int64_t length = end - begin;
        uint8_t *piece = array_of(length, 1);
        memcpy(piece, begin, (size_t)length);
        make_room(out, length);
        int64_t read = venuemesh_copied(piece, length, out);
        free(piece);
        MUST(0 <= read && read <= length);
        begin += read;
        if (out->fault != FAULT_NONE) {
            MUST(out->fault_column >= 0 && out->fault_column < out->column_count);
            break;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    struct copied_column columns[COLUMNS_MAX] = {0};
    struct copied out = {.columns = columns, .column_count = 1 + next_byte(&in) % COLUMNS_MAX};
    for (int64_t place = 0; place < out.column_count; place++) {
        uint8_t kind = next_byte(&in);
        columns[place].kind = (kind & ~NULLABLE) % 3;
        columns[place].reserved = (kind & NULLABLE) != 0;
    }
    uint8_t step = next_byte(&in);
    feed(&out, &in, step ? step : (int64_t)size + 1);
    check(&out);
    for (int64_t place = 0; place < out.column_count; place++) {
        free(columns[place].values);
        free(columns[place].seconds);
        free(columns[place].nulls);
    }
    free(out.pool);
    return 0;
}
