/* Asks DNS for a pool's name, again and again. One question is under way at a time, so a slow name
 * server is never asked faster than it answers. */
#include "discovery/discovery_priv.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

/* Those that are known, as members. NULL: no memory. */
static struct pool_member_spec *specs_of(const struct origin *origin)
{
    const struct knowledge *knowledge = &origin->knowledge;
    struct pool_member_spec *specs = calloc(knowledge->count + 1, sizeof *specs);

    for (size_t i = 0; specs && i < knowledge->count; i++)
        specs[i] = (struct pool_member_spec){.address = knowledge->at[i].address,
                                             .weight = origin->weight,
                                             .max_connections = origin->max_connections};
    return specs;
}

static void take_good(struct origin *origin, const struct answer_meaning *meaning)
{
    struct pool_member_spec *specs = specs_of(origin);

    if (specs)
        origin_found(origin, specs, origin->knowledge.count, meaning->words);
    else
        origin_failed(origin, "out of memory");
}

static void on_answer(void *owner, const struct resolver_answer *answer)
{
    struct origin *origin = owner;
    struct answer_meaning meaning = {.kind = ANSWER_FAILED};

    origin->question = NULL;
    if (answers_take(&origin->knowledge, answer, &meaning))
        origin_failed(origin, "out of memory");
    else if (meaning.kind == ANSWER_GOOD)
        take_good(origin, &meaning);
    else
        origin_failed(origin, "%s", meaning.words ? meaning.words : "no answer");
    origin_arm(origin, answers_wait_usec(&meaning, origin->failures, origin->found_wall_usec,
                                         random_next(&origin->discovery->random)));
}

static void ask(struct origin *origin)
{
    const struct answer_meaning failed = {.kind = ANSWER_FAILED};
    const char *colon = strrchr(origin->what, ':');
    char name[256] = "";

    origin_disarm(origin);
    if (!colon || (size_t)(colon - origin->what) >= sizeof name)
        return; /* the configuration has judged it */
    question_forget(TAKE(origin->question));
    memcpy(name, origin->what, (size_t)(colon - origin->what));
    if (origin->discovery->resolver)
        origin->question = resolver_ask(origin->discovery->resolver, name,
                                        (uint16_t)strtoul(colon + 1, NULL, 10), on_answer, origin);
    if (origin->question)
        return;
    origin_failed(origin, "it cannot be asked for");
    origin_arm(origin, answers_wait_usec(&failed, origin->failures, origin->found_wall_usec, 0));
}

/* What was being asked of the resolver before, which is gone soon, is asked of the new one. */
static void begin(struct origin *origin)
{
    if (origin->question || !origin->due_usec || origin->failures)
        ask(origin);
}

static void end(struct origin *origin)
{
    question_forget(TAKE(origin->question));
    knowledge_done(&origin->knowledge);
}

const struct finder finder_dns = {.name = "dns", .begin = begin, .turn = ask, .end = end};
