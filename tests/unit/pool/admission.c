#include "pool/admission.c"

#include "test.h"

static const struct pool_admission rate = {.interval_nsec = 5000000, .burst = 4};

TEST(a_burst_comes_at_once_then_one_in_each_interval)
{
    _Atomic uint64_t spoken = 0;
    uint64_t now = 1000000;

    for (unsigned i = 0; i < 4; i++)
        EXPECT(admission_has(&rate, &spoken, now) && admission_take(&rate, &spoken, now));
    EXPECT(!admission_has(&rate, &spoken, now) && !admission_take(&rate, &spoken, now));
    EXPECT(admission_due_usec(&rate, &spoken) == now + 5000);
    EXPECT(!admission_take(&rate, &spoken, now + 4999) &&
           admission_take(&rate, &spoken, now + 5000));
    EXPECT(!admission_take(&rate, &spoken, now + 5000));
}

TEST(in_no_window_more_than_burst_and_rate)
{
    _Atomic uint64_t spoken = 0;
    unsigned taken = 0;

    for (uint64_t now = 1000000; now < 3000000; now += 100)
        taken += admission_take(&rate, &spoken, now);
    EXPECT(taken == 4 + 399);
}

TEST(what_is_given_back_may_be_taken_again)
{
    _Atomic uint64_t spoken = 0;

    for (unsigned i = 0; i < 4; i++)
        admission_take(&rate, &spoken, 1000000);
    admission_give_back(&rate, &spoken);
    EXPECT(admission_take(&rate, &spoken, 1000000) && !admission_take(&rate, &spoken, 1000000));
}

TEST(without_a_limit_all_may_come_and_nothing_is_written)
{
    const struct pool_admission none = {0};
    _Atomic uint64_t spoken = 0;

    EXPECT(admission_take(&none, &spoken, 1) && admission_has(&none, &spoken, 1));
    admission_give_back(&none, &spoken);
    EXPECT(atomic_load(&spoken) == 0 && admission_due_usec(&none, &spoken) == 0);
}
