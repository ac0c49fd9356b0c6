/* turnout-picks BALANCER SERVERS [MSEC]: what one choice costs on one core, as one line of JSON.
 * The balancer alone over candidates that stand there, and the whole of pool_pick and pool_release:
 * counts and health of all servers read, the seat taken and given back. Keys and counts differ from
 * choice to choice; one server in 50 is closed. */
#include "balance/mix.h"
#include "base/check.h"
#include "pool/pool.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define IN_BETWEEN 16 /* choices between two looks at the clock */

static uint64_t now_nsec(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static struct pick pick_of(uint64_t turn)
{
    return (struct pick){.turn = turn, .hash = mix_pair(1, turn), .random = mix_pair(2, turn)};
}

struct alone {
    const struct balancer *balancer;
    struct candidate *of;
    size_t count, bytes;
    void *prepared;
    uint64_t prepare_nsec;
};

static bool prepare(struct alone *alone)
{
    for (size_t i = 0; i < alone->count; i++)
        alone->of[i] = (struct candidate){.id = mix_pair(3, i),
                                          .active = (uint32_t)(mix_pair(4, i) % 100),
                                          .weight = 1 + (uint32_t)(mix_pair(5, i) % 4),
                                          .latency_usec = 1 + (uint32_t)(mix_pair(6, i) % 5000),
                                          .is_open = i % 50 != 49};
    if (!alone->balancer->prepare)
        return true;
    uint64_t began = now_nsec();
    if (alone->balancer->prepare(alone->of, alone->count, &alone->prepared))
        return false;
    alone->prepare_nsec = now_nsec() - began;
    alone->bytes = malloc_usable_size(alone->prepared);
    return true;
}

static double nsec_alone(struct alone *alone, uint64_t until_nsec)
{
    uint64_t began = now_nsec(), now, turn = 0;

    do {
        for (unsigned i = 0; i < IN_BETWEEN; i++, turn++) {
            const struct pick pick = pick_of(turn);
            size_t chosen =
                alone->balancer->choose(alone->prepared, alone->of, alone->count, &pick);
            CHECK(chosen < alone->count && alone->of[chosen].is_open);
            alone->of[chosen].active++;
            alone->of[(chosen + 1) % alone->count].active /= 2; /* others leave */
        }
        now = now_nsec();
    } while (now < until_nsec);
    return (double)(now - began) / (double)turn;
}

static struct pool *make_pool(const struct balancer *balancer, size_t count)
{
    struct pool_member_spec *members = calloc(count, sizeof *members);
    struct pool *pool = NULL;
    char address[64];

    for (size_t i = 0; members && i < count; i++) {
        snprintf(address, sizeof address, "10.%zu.%zu.%zu:80", i >> 16, i >> 8 & 255, i & 255);
        CHECK(address_parse(address, &members[i].address) == 0);
        members[i].weight = 1 + (uint32_t)(mix_pair(5, i) % 4);
    }
    CHECK(members && pool_new("bench", balancer, members, count, NULL, &pool) == 0);
    free(members);
    return pool;
}

static double nsec_whole(struct pool *pool, uint64_t until_nsec)
{
    uint64_t began = now_nsec(), now, turn = 0;

    do {
        for (unsigned i = 0; i < IN_BETWEEN; i++, turn++) {
            const struct pool_ask ask = {.hash = mix_pair(1, turn), .random = mix_pair(2, turn)};
            struct server *server = pool_pick(pool, &ask, NULL);
            CHECK(server);
            pool_release(server);
        }
        now = now_nsec();
    } while (now < until_nsec);
    return (double)(now - began) / (double)turn;
}

int main(int count, char **word)
{
    struct alone alone = {.balancer = count > 2 ? balancer_find(word[1]) : NULL,
                          .count = count > 2 ? strtoul(word[2], NULL, 10) : 0};
    uint64_t nsec = (count > 3 ? strtoul(word[3], NULL, 10) : 200) * UINT64_C(1000000);

    if (!alone.balancer || !alone.count || alone.count > POOL_SERVERS_MAX) {
        fprintf(stderr, "usage: turnout-picks BALANCER SERVERS [MSEC]; BALANCER:");
        for (const char *const *name = balancer_names(); *name; name++)
            fprintf(stderr, " %s", *name);
        fprintf(stderr, "\n");
        return 2;
    }
    alone.of = calloc(alone.count, sizeof *alone.of);
    if (!alone.of || !prepare(&alone)) {
        fprintf(stderr, "turnout-picks: out of memory\n");
        return 1;
    }
    double choose = nsec_alone(&alone, now_nsec() + nsec);
    struct pool *pool = make_pool(alone.balancer, alone.count);
    double whole = nsec_whole(pool, now_nsec() + nsec);
    printf("{\"balancer\":\"%s\",\"servers\":%zu,\"choose_nsec\":%.2f,\"pick_nsec\":%.2f,"
           "\"prepare_usec\":%.1f,\"prepared_bytes\":%zu}\n",
           alone.balancer->name, alone.count, choose, whole, (double)alone.prepare_nsec / 1e3,
           alone.bytes);
    pool_unref(pool);
    if (alone.prepared)
        alone.balancer->discard(alone.prepared);
    free(alone.of);
    return 0;
}
