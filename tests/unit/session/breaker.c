#include "session/breaker.c"

#include "test.h"

static struct breaker b;

static void fail_until_open(uint64_t now)
{
    breaker_init(&b, 3, 100);
    EXPECT(!breaker_failed(&b, now) && !breaker_failed(&b, now) && breaker_failed(&b, now));
}

TEST(a_few_failures_in_a_row_open_it)
{
    fail_until_open(1000);
    EXPECT(breaker_state(&b, 1000) == BREAKER_OPEN && b.opened_ever == 1);
    EXPECT(!breaker_allows(&b, 1000) && !breaker_allows(&b, 1099));
}

TEST(a_success_between_them_does_not)
{
    breaker_init(&b, 3, 100);
    for (unsigned i = 0; i < 9; i++) {
        EXPECT(breaker_allows(&b, i) && !breaker_failed(&b, i) && !breaker_failed(&b, i));
        EXPECT(!breaker_succeeded(&b));
    }
    EXPECT(breaker_state(&b, 9) == BREAKER_CLOSED);
}

TEST(after_a_rest_one_may_try)
{
    fail_until_open(1000);
    EXPECT(breaker_state(&b, 1100) == BREAKER_HALF_OPEN);
    EXPECT(breaker_allows(&b, 1100) && !breaker_allows(&b, 1100) && !breaker_allows(&b, 1199));
    EXPECT(breaker_allows(&b, 1200)); /* the first never told how it went */
}

TEST(the_one_who_tried_decides)
{
    fail_until_open(1000);
    EXPECT(breaker_allows(&b, 1100) && !breaker_failed(&b, 1150)); /* it was open already */
    EXPECT(!breaker_allows(&b, 1249) && breaker_allows(&b, 1250));
    EXPECT(breaker_succeeded(&b) && !breaker_succeeded(&b));
    EXPECT(breaker_allows(&b, 1250) && breaker_allows(&b, 1250));
    EXPECT(!breaker_failed(&b, 1300)); /* it counts from the beginning */
}
