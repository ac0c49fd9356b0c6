/* Which pools are found, and what all ways of finding have in common. */
#include "discovery/discovery_priv.h"

#include "base/check.h"
#include "discovery/list.h"
#include "sys/sys.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define DISCOVERY_MAGIC 0x64697363u
#define WORDS_BYTES     512
#define COMPARED_MAX    4000000 /* pairs, for a line of the log */
#define NAMED_MAX       6       /* addresses in one line of the log */

/* --- what was found -----------------------------------------------------------------------------
 */

static bool is_there(const struct pool_member_spec *servers, size_t count,
                     const struct address *address)
{
    for (size_t i = 0; i < count; i++)
        if (address_equal(&servers[i].address, address))
            return true;
    return false;
}

/* "2 more (ADDRESS, ADDRESS)": those of `these` that are not among `those`. */
static void say_new(char *text, size_t size, const char *what, const struct pool_member_spec *these,
                    size_t count, const struct pool_member_spec *those, size_t those_count)
{
    char address[ADDRESS_TEXT_BYTES], list[NAMED_MAX * (ADDRESS_TEXT_BYTES + 2) + 8] = "";
    size_t found = 0, used = 0;

    for (size_t i = 0; i < count; i++) {
        if (is_there(those, those_count, &these[i].address))
            continue;
        if (found++ < NAMED_MAX)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "",
                                     address_write(&these[i].address, address));
    }
    if (found)
        snprintf(text, size, ", %zu %s (%s%s)", found, what, list,
                 found > NAMED_MAX ? ", ..." : "");
}

static void log_found(const struct origin *origin, const struct pool_member_spec *servers,
                      size_t count)
{
    struct log_fields fields = log_fields_none();
    char words[2 * WORDS_BYTES], more[WORDS_BYTES] = "", less[WORDS_BYTES] = "";

    if (count * origin->count <= COMPARED_MAX) {
        say_new(more, sizeof more, "more", servers, count, origin->server, origin->count);
        say_new(less, sizeof less, "less", origin->server, origin->count, servers, count);
    }
    snprintf(words, sizeof words, "%s %s: %zu servers%s%s", origin->finder->name, origin->what,
             count, more, less);
    fields.pool = bytes_of(pool_name(origin->pool));
    fields.words = bytes_of(words);
    log_event(origin->discovery->means.log, EVENT_servers, &fields);
}

static bool is_same_spec(const struct pool_member_spec *a, const struct pool_member_spec *b)
{
    return address_equal(&a->address, &b->address) && a->weight == b->weight &&
           a->max_connections == b->max_connections && a->is_backup == b->is_backup;
}

static bool has_changed(const struct origin *origin, const struct pool_member_spec *servers,
                        size_t count)
{
    bool is_same = origin->count == count;

    for (size_t i = 0; is_same && i < count; i++)
        is_same = is_same_spec(&origin->server[i], &servers[i]);
    return !is_same;
}

static void put(struct origin *origin, struct pool_member_spec *take_servers, size_t count)
{
    struct discovery_means *means = &origin->discovery->means;
    int error = pool_set_discovered(origin->pool, take_servers, count);

    if (error) {
        free(take_servers);
        origin->is_judged = false; /* tried again */
        origin_failed(origin, "%s",
                      error == -E2BIG ? "that is more than 10000 servers" : strerror(-error));
        return;
    }
    log_found(origin, take_servers, count);
    free(origin->server);
    origin->server = take_servers;
    origin->count = count;
    if (means->on_changed)
        means->on_changed(means->owner, origin->pool);
}

void origin_found(struct origin *origin, struct pool_member_spec *take_servers, size_t count,
                  const char *wrong)
{
    unsigned failures = origin->failures;

    origin->found_wall_usec = sys_wall_usec();
    origin->failures = 0;
    snprintf(origin->error, sizeof origin->error, "%s", wrong ? wrong : "");
    if (failures)
        log_say(origin->discovery->means.log, EVENT_notice, "pool %s: %s %s is good again",
                pool_name(origin->pool), origin->finder->name, origin->what);
    if (has_changed(origin, take_servers, count))
        put(origin, take_servers, count);
    else
        free(take_servers);
}

void origin_failed(struct origin *origin, const char *format, ...)
{
    char words[ORIGIN_WORDS_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    if (!origin->failures++ || strcmp(words, origin->error) != 0)
        log_say(origin->discovery->means.log, EVENT_notice, "pool %s: %s %s: %s; %s",
                pool_name(origin->pool), origin->finder->name, origin->what, words,
                origin->count ? "the last good servers stay" : "it has no server yet");
    snprintf(origin->error, sizeof origin->error, "%s", words);
    origin->failed_wall_usec = sys_wall_usec();
}

void origin_arm(struct origin *origin, uint64_t wait_usec)
{
    struct loop *loop = origin->discovery->means.loop;

    origin->due_usec = loop->now_usec + wait_usec;
    loop_arm(loop, &origin->timer, origin->due_usec);
}

void origin_disarm(struct origin *origin)
{
    origin->due_usec = 0;
    timer_cancel(&origin->timer);
    task_cancel(&origin->task);
}

static void on_due(struct timer *timer)
{
    struct origin *origin = container_of(timer, struct origin, timer);

    loop_post(origin->discovery->means.loop, &origin->task);
}

static void take_turn(struct task *task)
{
    struct origin *origin = container_of(task, struct origin, task);

    origin->finder->turn(origin);
}

/* --- which there are ----------------------------------------------------------------------------
 */

static void origin_free(struct origin *origin)
{
    list_remove(&origin->node);
    origin_disarm(origin);
    origin->finder->end(origin);
    pool_unref(origin->pool);
    free(origin->server);
    free(origin->what);
    free(origin);
}

static struct origin *find(struct discovery *discovery, const char *pool,
                           const struct finder *finder, const char *what)
{
    list_each(node, &discovery->origins) {
        struct origin *origin = container_of(node, struct origin, node);
        if (strcmp(pool_name(origin->pool), pool) == 0 && origin->finder == finder &&
            strcmp(origin->what, what) == 0)
            return origin;
    }
    return NULL;
}

static struct origin *add(struct discovery *discovery, struct pool *pool,
                          const struct finder *finder, const char *what)
{
    struct origin *origin = calloc(1, sizeof *origin);
    char *copy = origin ? strdup(what) : NULL;

    if (!copy) {
        free(origin);
        log_say(discovery->means.log, EVENT_shortage, "pool %s: out of memory: not followed",
                pool_name(pool));
        return NULL;
    }
    origin->discovery = discovery;
    origin->finder = finder;
    origin->pool = pool_ref(pool);
    origin->what = copy;
    origin->watch = -1;
    timer_init(&origin->timer, on_due);
    task_init(&origin->task, take_turn);
    list_add_last(&discovery->origins, &origin->node);
    return origin;
}

/* What was found before holds for the new pool too, with what it says of weights. */
static void carry_over(struct origin *origin, struct pool *pool)
{
    pool_ref(pool);
    pool_unref(origin->pool);
    origin->pool = pool;
}

static bool sets_new_defaults(struct origin *origin, const struct pool_settings *settings)
{
    bool is_new = origin->weight != settings->discovered_weight ||
                  origin->max_connections != settings->discovered_max_connections;

    origin->weight = (uint32_t)settings->discovered_weight;
    origin->max_connections = (uint32_t)settings->discovered_max_connections;
    return is_new;
}

static void adopt_pool(struct discovery *discovery, const struct pool_settings *settings,
                       struct pool *pool)
{
    const struct finder *finder = settings->dns ? &finder_dns : &finder_file;
    const char *what = settings->dns ? settings->dns : settings->file;
    struct origin *origin = find(discovery, settings->name, finder, what);

    if (origin)
        carry_over(origin, pool);
    else
        origin = add(discovery, pool, finder, what);
    if (!origin)
        return;
    origin->is_named = true;
    if (sets_new_defaults(origin, settings)) {
        origin->is_judged = false;
        origin->due_usec = 0; /* read or asked again, with them */
    }
}

/* "127.0.0.1:53,[::1]:53"; NULL: none is named, or no memory. malloc'ed. */
static char *servers_of(const struct texts *resolvers)
{
    size_t size = 1, used = 0;

    for (size_t i = 0; i < resolvers->count; i++)
        size += strlen(resolvers->at[i]) + 1;
    char *text = resolvers->count ? malloc(size) : NULL;
    for (size_t i = 0; text && i < resolvers->count; i++)
        used += (size_t)snprintf(text + used, size - used, "%s%s", i ? "," : "", resolvers->at[i]);
    return text;
}

/* Always a new one: what /etc/resolv.conf says may be new as well. */
static void renew_resolver(struct discovery *discovery, const struct settings *settings)
{
    bool is_wanted = false;

    for (size_t i = 0; i < settings->pool_count; i++)
        is_wanted = is_wanted || settings->pools[i].dns;
    struct resolver *before = TAKE(discovery->resolver);
    char *servers = servers_of(&settings->resolvers);
    int error = is_wanted ? resolver_new(discovery->means.loop, servers, &discovery->resolver) : 0;
    if (error)
        log_say(discovery->means.log, EVENT_shortage, "names cannot be asked for: %s",
                strerror(-error));
    free(servers);
    list_each(node, &discovery->origins) {
        struct origin *origin = container_of(node, struct origin, node);
        origin->finder->begin(origin);
    }
    resolver_free(before);
}

void discovery_adopt(struct discovery *discovery, const struct settings *settings,
                     struct pool *const *pools)
{
    struct list *next;

    CHECK_OBJ(discovery, DISCOVERY_MAGIC);
    list_each(node, &discovery->origins)
        container_of(node, struct origin, node)->is_named = false;
    for (size_t i = 0; i < settings->pool_count; i++)
        if (settings->pools[i].dns || settings->pools[i].file)
            adopt_pool(discovery, &settings->pools[i], pools[i]);
    for (struct list *node = discovery->origins.next; node != &discovery->origins; node = next) {
        struct origin *origin = container_of(node, struct origin, node);
        next = node->next;
        if (!origin->is_named)
            origin_free(origin);
    }
    renew_resolver(discovery, settings);
}

int discovery_new(const struct discovery_means *means, struct discovery **ret_discovery)
{
    struct discovery *discovery = calloc(1, sizeof *discovery);

    if (!discovery)
        return -ENOMEM;
    discovery->magic = DISCOVERY_MAGIC;
    discovery->means = *means;
    list_init(&discovery->origins);
    random_init(&discovery->random, sys_random());
    source_init(&discovery->notices, -1);
    *ret_discovery = discovery;
    return 0;
}

struct discovery *discovery_free(struct discovery *discovery)
{
    if (!discovery)
        return NULL;
    CHECK_OBJ(discovery, DISCOVERY_MAGIC);
    while (!list_is_empty(&discovery->origins))
        origin_free(container_of(discovery->origins.next, struct origin, node));
    resolver_free(discovery->resolver);
    files_close(discovery);
    discovery->magic = 0;
    free(discovery);
    return NULL;
}

void discovery_each(const struct discovery *discovery,
                    void (*tell)(void *to, const struct discovery_state *state), void *to)
{
    CHECK_OBJ(discovery, DISCOVERY_MAGIC);
    list_each(node, &discovery->origins) {
        const struct origin *origin = container_of(node, struct origin, node);
        uint64_t now = discovery->means.loop->now_usec;
        const struct discovery_state state = {
            .pool = pool_name(origin->pool),
            .by = origin->finder->name,
            .what = origin->what,
            .servers = origin->count,
            .found_wall_usec = origin->found_wall_usec,
            .next_usec = origin->question         ? LOG_NONE
                         : origin->due_usec > now ? origin->due_usec - now
                                                  : 0,
            .failures = origin->failures,
            .failed_wall_usec = origin->failed_wall_usec,
            .error = origin->error,
        };
        tell(to, &state);
    }
}

static void hear_nothing(void *to, unsigned line, const char *words)
{
    (void)to, (void)line, (void)words;
}

int discovery_read_once(struct conf_source *source, const struct pool_settings *settings,
                        struct pool *pool)
{
    const struct pool_member_spec preset = {.weight = (uint32_t)settings->discovered_weight,
                                            .max_connections =
                                                (uint32_t)settings->discovered_max_connections};
    struct pool_member_spec *servers = NULL;
    struct bytes text = {0};
    size_t count = 0;
    int error = source->read(source, settings->file, &text);

    if (!error)
        error = list_parse(text, &preset, hear_nothing, NULL, &servers, &count);
    if (!error)
        error = pool_set_discovered(pool, servers, count);
    free(servers);
    free((void *)(uintptr_t)text.at);
    return error;
}
