#include "proxy/moves.c"

#include "test.h"

TEST(what_was_there_from_the_beginning_moves_nobody)
{
    struct moves_watch watch = {.seen = 7, .done = 7};

    for (unsigned i = 0; i < 5; i++)
        EXPECT(!has_settled(&watch, 7));
}

/* begin() notes what is done. */
static bool look(struct moves_watch *watch, uint64_t sees)
{
    bool settled = has_settled(watch, sees);

    if (settled)
        watch->done = watch->seen;
    return settled;
}

TEST(a_change_counts_when_it_is_seen_twice_and_once)
{
    struct moves_watch watch = {.seen = 7, .done = 7};

    EXPECT(!look(&watch, 8));
    EXPECT(look(&watch, 8));
    EXPECT(!look(&watch, 8));
    EXPECT(!look(&watch, 7));
    EXPECT(look(&watch, 7)); /* and back again */
}

TEST(what_flaps_moves_nobody)
{
    struct moves_watch watch = {.seen = 7, .done = 7};

    for (unsigned i = 0; i < 10; i++) {
        EXPECT(!look(&watch, 8));
        EXPECT(!look(&watch, 7));
    }
    EXPECT(!look(&watch, 7));
}
