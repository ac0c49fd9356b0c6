/* Both sides sorted, one walk over the two. */
#include "discovery/answers.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

#define USEC_PER_SEC   UINT64_C(1000000)
#define TTL_LEAST_SEC  1
#define TTL_MOST_SEC   3600
#define SOON_SEC       5
#define FIRST_TRY_SEC  1
#define RETRY_SEC      5
#define RETRY_MOST_SEC 60

static int order(const struct address *a, const struct address *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return a->any.sa_family < b->any.sa_family ? -1 : 1;
    return memcmp(a, b, sizeof *a);
}

static int by_address(const void *a, const void *b)
{
    return order(a, b);
}

/* All addresses of the answer, sorted, each once. */
static int gather(const struct resolver_answer *answer, struct address **ret_at, size_t *ret_count)
{
    size_t count = 0, kept = 0;

    for (int i = 0; i < RESOLVER_FAMILIES; i++)
        count += answer->half[i].error ? 0 : answer->half[i].count;
    struct address *at = calloc(count + 1, sizeof *at);
    if (!at)
        return -ENOMEM;
    count = 0;
    for (int i = 0; i < RESOLVER_FAMILIES; i++) {
        const struct resolver_half *half = &answer->half[i];
        if (half->error || !half->count)
            continue;
        memcpy(at + count, half->at, half->count * sizeof *at);
        count += half->count;
    }
    qsort(at, count, sizeof *at, by_address);
    for (size_t i = 0; i < count; i++)
        if (!kept || order(&at[kept - 1], &at[i]) != 0)
            at[kept++] = at[i];
    *ret_at = at;
    *ret_count = kept;
    return 0;
}

static bool is_failed(const struct resolver_half *half)
{
    return half->error && half->error != -ENOENT;
}

static const struct resolver_half *half_of(const struct resolver_answer *answer,
                                           const struct address *address)
{
    return &answer->half[address->any.sa_family == AF_INET6 ? RESOLVER_V6 : RESOLVER_V4];
}

static struct answer_meaning judge(const struct resolver_answer *answer)
{
    struct answer_meaning meaning = {.kind = ANSWER_EMPTY, .ttl_sec = TTL_MOST_SEC};
    bool has_addresses = false, has_failed = false;

    for (int i = 0; i < RESOLVER_FAMILIES; i++) {
        const struct resolver_half *half = &answer->half[i];
        bool is_good = !half->error && half->count;
        has_addresses = has_addresses || is_good;
        has_failed = has_failed || is_failed(half);
        if (is_good && half->ttl_sec < meaning.ttl_sec)
            meaning.ttl_sec = half->ttl_sec;
        if (is_failed(half))
            meaning.words = half->words;
    }
    if (has_addresses)
        meaning.kind = ANSWER_GOOD;
    else if (has_failed)
        meaning.kind = ANSWER_FAILED;
    else
        meaning.words = answer->half[RESOLVER_V4].words ? answer->half[RESOLVER_V4].words
                                                        : "the answer is empty";
    return meaning;
}

/* One that the answer does not have. False: it is gone. */
static bool keep(struct known *one, const struct resolver_answer *answer,
                 struct answer_meaning *meaning)
{
    if (is_failed(half_of(answer, &one->address)))
        return true;
    one->missed++;
    if (one->missed >= ANSWERS_MISSED_MAX)
        return false;
    meaning->has_missing = true;
    return true;
}

int answers_take(struct knowledge *knowledge, const struct resolver_answer *answer,
                 struct answer_meaning *ret_meaning)
{
    struct answer_meaning meaning = judge(answer);
    struct address *now = NULL;
    size_t count = 0, i = 0, k = 0, made = 0;

    if (meaning.kind != ANSWER_GOOD) {
        *ret_meaning = meaning;
        return 0;
    }
    int error = gather(answer, &now, &count);
    struct known *both = error ? NULL : calloc(knowledge->count + count + 1, sizeof *both);
    if (!both) {
        free(now);
        return -ENOMEM;
    }
    while (i < knowledge->count || k < count) {
        int which = i == knowledge->count ? 1
                    : k == count          ? -1
                                          : order(&knowledge->at[i].address, &now[k]);
        if (which < 0) {
            struct known old = knowledge->at[i++];
            bool stays = keep(&old, answer, &meaning);
            meaning.is_changed = meaning.is_changed || !stays;
            if (stays)
                both[made++] = old;
            continue;
        }
        meaning.is_changed = meaning.is_changed || which > 0;
        both[made++] = (struct known){.address = now[k++]};
        i += which == 0;
    }
    free(now);
    free(knowledge->at);
    *knowledge = (struct knowledge){both, made};
    *ret_meaning = meaning;
    return 0;
}

void knowledge_done(struct knowledge *knowledge)
{
    free(knowledge->at);
    *knowledge = (struct knowledge){0};
}

static uint64_t bounded(uint64_t sec, uint64_t least, uint64_t most)
{
    return sec < least ? least : sec > most ? most : sec;
}

uint64_t answers_wait_usec(const struct answer_meaning *meaning, unsigned failures,
                           bool was_ever_good, uint64_t random)
{
    uint64_t sec;

    if (meaning->kind == ANSWER_GOOD) {
        sec = bounded(meaning->ttl_sec, TTL_LEAST_SEC, TTL_MOST_SEC);
        if (meaning->has_missing && sec > SOON_SEC)
            sec = SOON_SEC;
    } else {
        unsigned doublings = failures > 1 ? failures - 1 : 0;
        sec = was_ever_good ? RETRY_SEC : FIRST_TRY_SEC;
        sec = doublings > 6 ? RETRY_MOST_SEC : bounded(sec << doublings, 1, RETRY_MOST_SEC);
    }
    return sec * USEC_PER_SEC + random % (sec * USEC_PER_SEC / 10);
}
