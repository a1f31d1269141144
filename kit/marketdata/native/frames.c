/* JSON frames to columns.
 *
 * Every function reads and writes arrays that the caller owns and has sized. Nothing is allocated,
 * nothing is kept. What is not plain (an escape in a text, anything malformed) is not judged here:
 * the function says so, and Python's slower reference in frames/reference_reader.py decides.
 * Loaded by native/__init__.py, where the calls are typed.
 */

#include "json.h"

enum { SCOPES_MAX = 4, SYMBOLS_MAX = 4096, SYMBOL_SLOTS = 8192 };

/* Kinds of a node; the same numbers stand in kit/marketdata/frames/layout.py. */
enum kind { TEXT, IDENTIFIER, INTEGER, DECIMAL, FLAG, TIME, OBJECT = 10, ROWS = 11, LEVELS = 12 };
enum sides { BIDS, ASKS, BOTH };

/* Decimal places of a column: NONE_YET, a number, or VARIED. */
enum { NONE_YET = -1, VARIED = -2 };

/* A key, or with a negative length the position in a list: -1 - length. */
struct place {
    const char *key;
    int64_t key_length;
};

/* Distinct texts of a column, as ranges of the buffer. */
struct texts {
    int64_t *start, *end;
    int64_t count, last;
    int16_t slots[SYMBOL_SLOTS];
};

/* A member that is wanted. The columns have an element for each row of the node's scope. */
struct node {
    const char *key;
    int32_t key_length;
    int32_t kind;
    int32_t optional;
    int32_t scope;
    int32_t child_count;
    int32_t sides;
    struct node *children;
    int64_t *values;     /* TEXT: number of the text; IDENTIFIER: start; DECIMAL: unscaled */
    int64_t *decimals;   /* DECIMAL: places; IDENTIFIER: end */
    struct texts *texts; /* TEXT */
    int64_t uniform;     /* DECIMAL: the places of all rows */
    struct place price, size, side;
    const char *bid;
    int64_t bid_length;
};

struct levels {
    int64_t *price, *price_decimals, *size, *size_decimals;
    int64_t *row_counts;
    int64_t count, capacity;
    int64_t price_uniform, size_uniform;
};

struct output {
    struct levels bids, asks;
    int64_t *parents[SCOPES_MAX]; /* for each row of a scope its row in the scope above */
    int64_t counts[SCOPES_MAX];
    int64_t row_capacity;
    int64_t innermost;
};

static void note_places(int64_t *uniform, int64_t places)
{
    if (*uniform != places)
        *uniform = *uniform == NONE_YET ? places : VARIED;
}

static int is_key(const struct place *place, const uint8_t *start, const uint8_t *end)
{
    return place->key_length == end - start &&
           memcmp(place->key, start, (size_t)(end - start)) == 0;
}

/* The number of a text among the distinct ones, which grows by one when it is new; -1 when full. */
static int64_t number_of(struct texts *known, const uint8_t *buffer, const uint8_t *start,
                         const uint8_t *end)
{
    /* Most texts are the one that was read last time. */
    if (known->count && known->end[known->last] - known->start[known->last] == end - start &&
        memcmp(buffer + known->start[known->last], start, (size_t)(end - start)) == 0)
        return known->last;
    uint32_t hash = 2166136261u;
    for (const uint8_t *at = start; at < end; at++)
        hash = (hash ^ *at) * 16777619u;
    for (uint32_t slot = hash % SYMBOL_SLOTS;; slot = (slot + 1) % SYMBOL_SLOTS) {
        int64_t number = known->slots[slot] - 1;
        if (number < 0) {
            if (known->count == SYMBOLS_MAX)
                return -1;
            known->start[known->count] = start - buffer;
            known->end[known->count] = end - buffer;
            known->slots[slot] = (int16_t)++known->count;
            return known->last = known->count - 1;
        }
        if (known->end[number] - known->start[number] == end - start &&
            memcmp(buffer + known->start[number], start, (size_t)(end - start)) == 0)
            return known->last = number;
    }
}

/* What one level says. */
struct level {
    int64_t price, price_decimals, size, size_decimals;
    int has_price, has_size, has_side, is_bid;
};

static int take_level_part(struct cursor *c, const struct node *node, struct level *level,
                           int price, int size, int side)
{
    const uint8_t *start, *end;
    if (price)
        return !level->has_price++ && take_number(c, &level->price, &level->price_decimals);
    if (size)
        return !level->has_size++ && take_number(c, &level->size, &level->size_decimals);
    if (!side)
        return skip_value(c);
    if (level->has_side++ || !take_text(c, &start, &end))
        return 0;
    level->is_bid = node->bid_length == end - start &&
                    memcmp(node->bid, start, (size_t)(end - start)) == 0;
    return 1;
}

/* ["61837.63","0.02"] or {"price":61837.63,"qty":0.02} */
static int take_level(struct cursor *c, const struct node *node, struct level *level)
{
    const uint8_t *start, *end;
    int by_position = node->price.key_length < 0;
    if (!take(c, by_position ? '[' : '{'))
        return 0;
    int64_t position = -1;
    do {
        int price, size, side;
        if (by_position) {
            price = position == node->price.key_length;
            size = position == node->size.key_length;
            side = node->sides == BOTH && position == node->side.key_length;
            position--;
        } else {
            if (!take_text(c, &start, &end) || !take(c, ':'))
                return 0;
            price = is_key(&node->price, start, end);
            size = is_key(&node->size, start, end);
            side = node->sides == BOTH && is_key(&node->side, start, end);
        }
        if (!take_level_part(c, node, level, price, size, side))
            return 0;
    } while (take(c, ','));
    return take(c, by_position ? ']' : '}') && level->has_price && level->has_size &&
           (node->sides != BOTH || level->has_side);
}

/* ["61837.63","0.02"], the usual level, without looking at what else it could be. */
static inline int take_pair(struct cursor *c, struct level *level)
{
    return take(c, '[') && take_number(c, &level->price, &level->price_decimals) &&
           take(c, ',') && take_number(c, &level->size, &level->size_decimals) && take(c, ']');
}

static int take_levels(struct cursor *c, const struct node *node, int64_t row, struct output *out)
{
    int pairs = node->sides != BOTH && node->price.key_length == -1 && node->size.key_length == -2;
    if (!take(c, '['))
        return 0;
    if (take(c, ']'))
        return 1;
    do {
        struct level level = {.is_bid = node->sides == BIDS};
        struct cursor before = *c;
        if (!pairs || !take_pair(c, &level)) {
            *c = before;
            if (!take_level(c, node, &level))
                return 0;
        }
        struct levels *to = level.is_bid ? &out->bids : &out->asks;
        if (to->count == to->capacity)
            return 0;
        to->price[to->count] = level.price;
        to->price_decimals[to->count] = level.price_decimals;
        to->size[to->count] = level.size;
        to->size_decimals[to->count] = level.size_decimals;
        note_places(&to->price_uniform, level.price_decimals);
        note_places(&to->size_uniform, level.size_decimals);
        to->count++;
        to->row_counts[row]++;
    } while (take(c, ','));
    return take(c, ']');
}

static int take_leaf(struct cursor *c, struct node *node, const uint8_t *buffer,
                     struct output *out)
{
    const uint8_t *start, *end;
    int64_t row = out->counts[node->scope] - 1, places = 0;
    if (node->optional && peek(c) == 'n')
        return take_word(c, "null");
    switch (node->kind) {
    case TEXT:
        if (!take_text(c, &start, &end))
            return 0;
        node->values[row] = number_of(node->texts, buffer, start, end);
        return node->values[row] >= 0;
    case IDENTIFIER:
        if (!take_text(c, &start, &end))
            return 0;
        node->values[row] = start - buffer;
        node->decimals[row] = end - buffer;
        return 1;
    case INTEGER:
        return take_number(c, &node->values[row], &places) && places == 0;
    case DECIMAL:
        if (!take_number(c, &node->values[row], &places))
            return 0;
        node->decimals[row] = places;
        return 1;
    case FLAG:
        node->values[row] = peek(c) == 't';
        return take_word(c, node->values[row] ? "true" : "false");
    case TIME:
        return take_time(c, &node->values[row]);
    default:
        return take_levels(c, node, row, out);
    }
}

/* What a row says of a member until it is read: nothing. */
static void forget_leaf(struct node *node, struct output *out)
{
    int64_t row = out->counts[node->scope] - 1;
    if (node->values)
        node->values[row] = node->kind == TEXT ? -1 : 0;
    if (node->decimals)
        node->decimals[row] = 0;
}

static int take_rows(struct cursor *c, struct node *node, const uint8_t *buffer,
                     struct output *out);

static int take_object(struct cursor *c, struct node *node, const uint8_t *buffer,
                       struct output *out)
{
    uint64_t seen = 0, wanted = 0;
    int32_t expected = 0;
    for (int32_t index = 0; index < node->child_count; index++) {
        struct node *child = &node->children[index];
        if (child->optional)
            forget_leaf(child, out);
        else
            wanted |= 1ull << index;
    }
    if (!take(c, '{'))
        return 0;
    if (take(c, '}'))
        return wanted == 0;
    do {
        const uint8_t *start, *end;
        if (!take_text(c, &start, &end) || !take(c, ':'))
            return 0;
        struct node *child = NULL;
        for (int32_t tried = 0; tried < node->child_count; tried++) {
            int32_t index = expected + tried;
            index -= index < node->child_count ? 0 : node->child_count;
            struct node *candidate = &node->children[index];
            if (candidate->key_length == end - start && candidate->key[0] == (char)*start &&
                memcmp(candidate->key, start, (size_t)(end - start)) == 0) {
                child = candidate;
                expected = index;
                break;
            }
        }
        if (!child) {
            if (!skip_value(c))
                return 0;
            continue;
        }
        int good = child->kind == OBJECT ? take_object(c, child, buffer, out)
                   : child->kind == ROWS ? take_rows(c, child, buffer, out)
                                         : take_leaf(c, child, buffer, out);
        if (!good || seen & 1ull << expected)
            return 0;
        seen |= 1ull << expected;
        expected++;
    } while (take(c, ','));
    return take(c, '}') && (seen & wanted) == wanted;
}

/* A new row of a scope, whose place in the scope above is `parent`. */
static int begin_row(struct output *out, int64_t scope, int64_t parent)
{
    int64_t row = out->counts[scope];
    if (row == out->row_capacity)
        return 0;
    out->parents[scope][row] = parent;
    out->counts[scope]++;
    if (scope == out->innermost)
        out->bids.row_counts[row] = out->asks.row_counts[row] = 0;
    return 1;
}

static int take_rows(struct cursor *c, struct node *node, const uint8_t *buffer,
                     struct output *out)
{
    int64_t parent = out->counts[node->scope] - 1;
    if (!take(c, '['))
        return 0;
    if (take(c, ']'))
        return 1;
    do {
        if (!begin_row(out, node->scope + 1, parent) ||
            !take_object(c, node->children, buffer, out))
            return 0;
    } while (take(c, ','));
    return take(c, ']');
}

static void note_column(struct node *node, const struct output *out)
{
    for (int32_t index = 0; index < node->child_count; index++)
        note_column(&node->children[index], out);
    if (node->kind != DECIMAL)
        return;
    node->uniform = NONE_YET;
    for (int64_t row = 0; row < out->counts[node->scope] && node->uniform != VARIED; row++)
        note_places(&node->uniform, node->decimals[row]);
}

/* Frames to the columns of a tree of nodes. starts and ends are ranges of the buffer, one per
 * frame. Returns 1, or 0 when a frame is not plain. */
int64_t venuemesh_decode(const uint8_t *buffer, const int64_t *starts, const int64_t *ends,
                         int64_t frame_count, struct node *root, struct output *out)
{
    for (int64_t frame = 0; frame < frame_count; frame++) {
        struct cursor c = {buffer + starts[frame], buffer + ends[frame]};
        if (!begin_row(out, 0, frame) || !take_object(&c, root, buffer, out) || peek(&c) != -1)
            return 0;
    }
    note_column(root, out);
    return 1;
}

static int stands_in(const uint8_t *at, const uint8_t *end, const char *pattern, int64_t length)
{
    for (; end - at >= length; at++) {
        at = memchr(at, pattern[0], (size_t)(end - at));
        if (!at || end - at < length)
            return 0;
        if (memcmp(at, pattern, (size_t)length) == 0)
            return 1;
    }
    return 0;
}

/* For each frame the number of the first pattern that stands within its first `window` bytes, or
 * pattern_count when none does. */
void venuemesh_classify(const uint8_t *buffer, const int64_t *starts, const int64_t *ends,
                        int64_t frame_count, const char *const *patterns,
                        const int64_t *pattern_lengths, int64_t pattern_count, int64_t window,
                        int64_t *kinds)
{
    for (int64_t row = 0; row < frame_count; row++) {
        const uint8_t *from = buffer + starts[row];
        const uint8_t *end = buffer + ends[row];
        int64_t length = end - from;
        if (window >= 0)
            end = from + (length < window ? length : window);
        else
            from = end - (length < -window ? length : -window);
        int64_t kind = 0;
        while (kind < pattern_count && !stands_in(from, end, patterns[kind], pattern_lengths[kind]))
            kind++;
        kinds[row] = kind;
    }
}
