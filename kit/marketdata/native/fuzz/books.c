/* Fuzzes venuemesh_follow: three bytes are the rules and the scales, and then come levels. Of each
 * a byte says the side, the widths of price and size, and whether it ends an update or a call. */

#include "../books.c"

#include "input.h"

enum { LEVELS_MAX = 512, SCALE_MAX = 18 };
enum { IS_ASK = 1, ENDS_UPDATE = 2, HAS_CHECKSUM = 64, ENDS_CALL = 128 };

/* The updates of one call. */
struct call {
    int64_t price[2][LEVELS_MAX], size[2][LEVELS_MAX];
    int64_t start[2][LEVELS_MAX], count[2][LEVELS_MAX];
    int64_t rows[LEVELS_MAX], checksums[LEVELS_MAX];
    int64_t update_count, level_count[2];
};

/* Room for so many levels, as _Sorted and _Table make it. */
static void make_room(struct side *side, int64_t added, int table)
{
    int64_t levels = side->count + added, old = table ? side->slots : side->count;
    struct side larger = {.count = table ? 0 : side->count};
    int64_t room = levels;
    if (table) {
        for (room = 2; room < 2 * levels; room *= 2)
            ;
        larger.slots = room;
    }
    larger.keys = array_of(room, sizeof(int64_t));
    larger.sizes = array_of(room, sizeof(int64_t));
    if (table)
        memset(larger.sizes, 0, (size_t)room * sizeof(int64_t));
    for (int64_t at = 0; at < old; at++) {
        if (table && side->sizes[at]) {
            set_slot(&larger, side->keys[at], side->sizes[at]);
        } else if (!table) {
            larger.keys[at] = side->keys[at];
            larger.sizes[at] = side->sizes[at];
        }
    }
    free(side->keys);
    free(side->sizes);
    *side = larger;
}

/* What is within the contract: a number that has a negative. */
static int64_t next_value(struct input *in, int width_bits)
{
    int64_t value = next_number(in, 1 << (width_bits & 3));
    return value == INT64_MIN ? INT64_MAX : value;
}

static void read_call(struct input *in, struct call *call)
{
    memset(call, 0, sizeof *call);
    int control = 0;
    for (int levels = 0; in->at < in->end && levels < LEVELS_MAX && !(control & ENDS_CALL);
         levels++) {
        control = next_byte(in);
        int which = control & IS_ASK;
        int64_t update = call->update_count, at = call->level_count[which]++;
        call->price[which][at] = next_value(in, control >> 2);
        call->size[which][at] = next_value(in, control >> 4);
        call->count[which][update]++;
        if (!(control & ENDS_UPDATE) && in->at < in->end && levels + 1 < LEVELS_MAX &&
            !(control & ENDS_CALL))
            continue;
        call->checksums[update] = control & HAS_CHECKSUM ? next_number(in, 4) : 0;
        call->rows[update] = update;
        call->update_count++;
        for (int side = 0; side < 2 && update + 1 < LEVELS_MAX; side++)
            call->start[side][update + 1] = call->level_count[side];
    }
}

static void check_side(const struct side *side)
{
    if (!side->slots) {
        for (int64_t at = 0; at < side->count; at++) {
            MUST(side->sizes[at] != 0);
            MUST(at == 0 || side->keys[at - 1] < side->keys[at]);
        }
        return;
    }
    int64_t used = 0;
    for (int64_t at = 0; at < side->slots; at++) {
        if (!side->sizes[at])
            continue;
        used++;
        uint64_t mask = (uint64_t)side->slots - 1, slot = slot_of(side->keys[at], mask);
        while (side->sizes[slot] && side->keys[slot] != side->keys[at])
            slot = (slot + 1) & mask;
        MUST(slot == (uint64_t)at);
    }
    MUST(used == side->count);
}

static void make_cuts(struct cuts *cuts, int64_t count)
{
    free(cuts->updates);
    free(cuts->keys);
    cuts->updates = array_of(count, sizeof(int64_t));
    cuts->keys = array_of(count, sizeof(int64_t));
}

/* Follow all updates, going on behind those that prove the book wrong. */
static void follow(struct book *book, struct call *call, int table)
{
    struct changes bids = {call->price[0], call->size[0], call->start[0], call->count[0]};
    struct changes asks = {call->price[1], call->size[1], call->start[1], call->count[1]};
    int64_t done = 0, verdict;
    while (done < call->update_count) {
        make_room(&book->bids, call->level_count[0], table);
        make_room(&book->asks, call->level_count[1], table);
        make_cuts(&book->bid_cuts, call->level_count[0]);
        make_cuts(&book->ask_cuts, call->level_count[1]);
        int64_t left = call->update_count - done;
        int64_t right = venuemesh_follow(book, call->rows + done, left, &bids, &asks,
                                         book->checksum_kind ? call->checksums : NULL, &verdict);
        MUST(0 <= right && right <= left);
        MUST((verdict == VERDICT_GOOD) == (right == left));
        MUST(!book->depth ||
             (book->bids.count <= book->depth && book->asks.count <= book->depth));
        check_side(&book->bids);
        check_side(&book->asks);
        done += right + 1;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct call call;
    struct input in = {data, data + size};
    uint8_t rules = next_byte(&in);
    struct book book = {
        .checksum_kind = (rules & 3) % 3,
        .stop_when_crossed = rules >> 2 & 1,
        .depth = rules >> 3,
    };
    book.price_scale = next_byte(&in) % (SCALE_MAX + 1);
    book.size_scale = next_byte(&in) % (SCALE_MAX + 1);
    int table = !book.checksum_kind && !book.stop_when_crossed && !book.depth;
    while (in.at < in.end) {
        read_call(&in, &call);
        follow(&book, &call, table);
    }
    make_cuts(&book.bid_cuts, 0);
    make_cuts(&book.ask_cuts, 0);
    free(book.bids.keys);
    free(book.bids.sizes);
    free(book.asks.keys);
    free(book.asks.sizes);
    return 0;
}
