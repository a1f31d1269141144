/* Fuzzes venuemesh_decode: one byte names the schema, one the room for rows and levels, and the
 * rest is frames. schemas.h is written by tests/fuzz/schemas.py from the schemas of all venues. */

#include "../frames.c"

#include "input.h"
#include "schemas.h"

static const int64_t UNSCALED_END = 1000000000000000000;

static struct levels levels_of(int64_t rows, int64_t capacity)
{
    struct levels made = {.capacity = capacity, .price_uniform = -1, .size_uniform = -1};
    made.price = array_of(capacity, sizeof(int64_t));
    made.price_decimals = array_of(capacity, sizeof(int64_t));
    made.size = array_of(capacity, sizeof(int64_t));
    made.size_decimals = array_of(capacity, sizeof(int64_t));
    made.row_counts = array_of(rows, sizeof(int64_t));
    return made;
}

static void free_levels(struct levels *levels)
{
    free(levels->price);
    free(levels->price_decimals);
    free(levels->size);
    free(levels->size_decimals);
    free(levels->row_counts);
}

static void check_levels(const struct levels *levels, int64_t rows)
{
    int64_t sum = 0;
    for (int64_t row = 0; row < rows; row++) {
        MUST(levels->row_counts[row] >= 0);
        sum += levels->row_counts[row];
    }
    MUST(sum == levels->count && sum <= levels->capacity);
    for (int64_t at = 0; at < sum; at++) {
        MUST(levels->price[at] > -UNSCALED_END && levels->price[at] < UNSCALED_END);
        MUST(levels->size[at] > -UNSCALED_END && levels->size[at] < UNSCALED_END);
        MUST(levels->price_decimals[at] >= 0 && levels->price_decimals[at] <= DIGITS_MAX);
        MUST(levels->size_decimals[at] >= 0 && levels->size_decimals[at] <= DIGITS_MAX);
    }
}

static void make_columns(struct node *node, int64_t rows)
{
    for (int32_t index = 0; index < node->child_count; index++)
        make_columns(&node->children[index], rows);
    if (node->kind >= OBJECT)
        return;
    node->values = array_of(rows, sizeof(int64_t));
    if (node->kind == DECIMAL || node->kind == IDENTIFIER)
        node->decimals = array_of(rows, sizeof(int64_t));
    if (node->kind != TEXT)
        return;
    node->texts = calloc(1, sizeof(struct texts));
    MUST(node->texts);
    node->texts->start = array_of(SYMBOLS_MAX, sizeof(int64_t));
    node->texts->end = array_of(SYMBOLS_MAX, sizeof(int64_t));
}

static void free_columns(struct node *node)
{
    for (int32_t index = 0; index < node->child_count; index++)
        free_columns(&node->children[index]);
    if (node->texts) {
        free(node->texts->start);
        free(node->texts->end);
    }
    free(node->texts);
    free(node->values);
    free(node->decimals);
    node->texts = NULL;
    node->values = node->decimals = NULL;
}

static void check_row(const struct node *node, int64_t row, int64_t length)
{
    int64_t value = node->values[row];
    int64_t second = node->decimals ? node->decimals[row] : 0;
    switch (node->kind) {
    case TEXT:
        MUST(value >= (node->optional ? -1 : 0) && value < node->texts->count);
        break;
    case IDENTIFIER:
        MUST(0 <= value && value <= second && second <= length);
        break;
    case FLAG:
        MUST(value == 0 || value == 1);
        break;
    case DECIMAL:
        MUST(second >= 0 && second <= DIGITS_MAX);
        MUST(node->uniform == VARIED || node->uniform == second);
        MUST(value > -UNSCALED_END && value < UNSCALED_END);
        break;
    case INTEGER:
        MUST(value > -UNSCALED_END && value < UNSCALED_END);
        break;
    }
}

static void check_columns(const struct node *node, const struct output *out, int64_t length)
{
    for (int32_t index = 0; index < node->child_count; index++)
        check_columns(&node->children[index], out, length);
    if (node->kind < OBJECT)
        for (int64_t row = 0; row < out->counts[node->scope]; row++)
            check_row(node, row, length);
    for (int64_t text = 0; node->texts && text < node->texts->count; text++)
        MUST(0 <= node->texts->start[text] && node->texts->start[text] <= node->texts->end[text] &&
             node->texts->end[text] <= length);
}

static void check(const struct node *root, const struct output *out, const struct frames *frames)
{
    MUST(out->counts[0] == frames->count);
    for (int64_t scope = 0; scope < SCOPES_MAX; scope++) {
        int64_t above = scope ? out->counts[scope - 1] : frames->count;
        MUST(out->counts[scope] <= out->row_capacity);
        for (int64_t row = 0; row < out->counts[scope]; row++)
            MUST(0 <= out->parents[scope][row] && out->parents[scope][row] < above);
    }
    check_levels(&out->bids, out->counts[out->innermost]);
    check_levels(&out->asks, out->counts[out->innermost]);
    check_columns(root, out, frames->length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    struct schema *schema = &schemas[next_byte(&in) % SCHEMA_COUNT];
    uint8_t room = next_byte(&in);
    int64_t rows = (int64_t)1 << (room & 7), level_capacity = 64 * (room >> 4);
    struct frames frames = frames_of(&in);
    struct output out = {
        .bids = levels_of(rows, level_capacity),
        .asks = levels_of(rows, level_capacity),
        .row_capacity = rows,
        .innermost = schema->innermost,
    };
    for (int scope = 0; scope < SCOPES_MAX; scope++)
        out.parents[scope] = array_of(rows, sizeof(int64_t));
    make_columns(schema->root, rows);
    if (venuemesh_decode(frames.buffer, frames.starts, frames.ends, frames.count, schema->root,
                         &out))
        check(schema->root, &out, &frames);
    free_columns(schema->root);
    for (int scope = 0; scope < SCOPES_MAX; scope++)
        free(out.parents[scope]);
    free_levels(&out.bids);
    free_levels(&out.asks);
    free_frames(&frames);
    return 0;
}
