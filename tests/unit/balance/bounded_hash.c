#include "balance/bounded_hash.c"

#include "balance/mix.h"
#include "base/random.h"
#include "test.h"

#define MOST 40

static void *make(struct candidate *ret_of, size_t count, uint32_t weights, uint64_t seed)
{
    void *prepared = NULL;

    for (size_t i = 0; i < count; i++)
        ret_of[i] = (struct candidate){.id = mix_pair(seed, i),
                                       .weight = 1 + (uint32_t)(mix_pair(seed, ~i) % weights),
                                       .is_open = true};
    EXPECT(lookup_new(ret_of, count, &prepared) == 0);
    return prepared;
}

static void expect_within_bound(const struct candidate *of, size_t count, size_t chosen)
{
    uint64_t active = 0, weight = 0; /* with the one that has come */

    for (size_t i = 0; i < count; i++) {
        active += of[i].is_open ? of[i].active : 0;
        weight += of[i].is_open ? of[i].weight : 0;
    }
    uint64_t most = (5 * active * of[chosen].weight + 4 * weight - 1) / (4 * weight);
    EXPECT(of[chosen].active <= most);
}

/* Everyone has the same key: it fills one after another, to the bound and not above. */
TEST(one_key_for_all_drowns_nobody)
{
    struct candidate of[MOST];

    for (uint32_t weights = 1; weights <= 256; weights *= 16) {
        void *prepared = make(of, MOST, weights, 1);
        for (unsigned i = 0; i < 20000; i++) {
            size_t chosen = choose(prepared, of, MOST, &(struct pick){.hash = 42});
            of[chosen].active++;
            expect_within_bound(of, MOST, chosen);
        }
        free(prepared);
    }
}

/* Whatever the counts were before, someone has room. */
TEST(someone_has_room_in_any_state)
{
    struct candidate of[MOST];
    struct random random;

    random_init(&random, 2);
    for (unsigned i = 0; i < 3000; i++) {
        size_t count = 1 + (size_t)random_below(&random, MOST);
        void *prepared = make(of, count, 10, i);
        bool is_any = false;
        for (size_t k = 0; k < count; k++) {
            of[k].active = (uint32_t)(random_next(&random) >> (32 + random_below(&random, 32)));
            of[k].is_open = random_below(&random, 3) > 0;
            is_any = is_any || of[k].is_open;
        }
        size_t chosen = choose(prepared, of, count, &(struct pick){.hash = random_next(&random)});
        EXPECT(is_any == (chosen != BALANCER_NONE));
        if (is_any) {
            EXPECT(of[chosen].is_open);
            of[chosen].active++;
            expect_within_bound(of, count, chosen);
        }
        free(prepared);
    }
}

/* Keys that come and stay, many more than servers: most are at their own server. */
TEST(most_stay_where_their_hash_says)
{
    struct candidate of[MOST];
    void *prepared = make(of, MOST, 1, 3);
    unsigned at_home = 0;

    for (uint64_t key = 0; key < 40000; key++) {
        size_t chosen = choose(prepared, of, MOST, &(struct pick){.hash = mix64(key)});
        of[chosen].active++;
        at_home += chosen == lookup_at(prepared, mix64(key), 0);
    }
    EXPECT(at_home > 36000);
    free(prepared);
}

/* Its own server again as soon as that has room. */
TEST(it_comes_home)
{
    struct candidate of[MOST];
    void *prepared = make(of, MOST, 1, 4);
    const struct pick pick = {.hash = mix64(5)};
    size_t home = choose(prepared, of, MOST, &pick);

    of[home].active = 10;
    size_t away = choose(prepared, of, MOST, &pick);
    EXPECT(away != home && choose(prepared, of, MOST, &pick) == away);
    of[home].active = 0;
    EXPECT(choose(prepared, of, MOST, &pick) == home);
    free(prepared);
}
