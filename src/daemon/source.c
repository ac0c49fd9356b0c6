/* Regular files only, and bounded: a fifo or a device would hold the start up for ever. */
#include "daemon/source.h"

#include "balance/balancer.h"
#include "discovery/list.h"
#include "net/address.h"
#include "redis/target.h"
#include "relay/relay.h"
#include "route/action.h"
#include "route/key.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX_BYTES (16u << 20)

static int read_all(int fd, size_t size, struct bytes *ret_text)
{
    uint8_t *memory = malloc(size + 1);
    size_t have = 0;

    if (!memory)
        return -ENOMEM;
    while (have < size) {
        ssize_t got = read(fd, memory + have, size - have);
        if (got < 0 && errno != EINTR) {
            free(memory);
            return -errno;
        }
        if (got == 0)
            break;
        have += got > 0 ? (size_t)got : 0;
    }
    *ret_text = (struct bytes){memory, have};
    return 0;
}

static int read_file(struct conf_source *source, const char *path, struct bytes *ret_text)
{
    struct stat facts;
    int error = 0, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    (void)source;
    if (fd < 0)
        return -errno;
    if (fstat(fd, &facts))
        error = -errno;
    else if (S_ISDIR(facts.st_mode))
        error = -EISDIR;
    else if (!S_ISREG(facts.st_mode))
        error = -EINVAL;
    else if ((uint64_t)facts.st_size > FILE_MAX_BYTES)
        error = -EFBIG;
    else
        error = read_all(fd, (size_t)facts.st_size, ret_text);
    close(fd);
    return error;
}

static int copy_paths(const glob_t *found, char ***ret_paths, size_t *ret_count)
{
    char **paths = calloc(found->gl_pathc + 1, sizeof *paths);

    if (!paths)
        return -ENOMEM;
    for (size_t i = 0; i < found->gl_pathc; i++) {
        paths[i] = strdup(found->gl_pathv[i]);
        if (!paths[i]) {
            while (i-- > 0)
                free(paths[i]);
            free(paths);
            return -ENOMEM;
        }
    }
    *ret_paths = paths;
    *ret_count = found->gl_pathc;
    return 0;
}

static int expand(struct conf_source *source, const char *pattern, char ***ret_paths,
                  size_t *ret_count)
{
    glob_t found;
    int result = glob(pattern, GLOB_ERR, NULL, &found);

    (void)source;
    *ret_paths = NULL;
    *ret_count = 0;
    if (result == GLOB_NOMATCH)
        return 0;
    int error = result == GLOB_NOSPACE ? -ENOMEM
                : result               ? -EACCES
                                       : copy_paths(&found, ret_paths, ret_count);
    globfree(&found);
    return error;
}

static const char *environment(struct conf_source *source, const char *name)
{
    (void)source;
    return getenv(name);
}

static bool is_address(const char *text)
{
    struct address address;

    return address_parse(text, &address) == 0;
}

static bool is_endpoint(const char *text)
{
    struct endpoint endpoint;

    return endpoint_parse(text, &endpoint) == 0;
}

static bool is_key(const char *text)
{
    struct key key;

    return key_parse(text, &key);
}

static bool is_store_url(const char *text, char ret_words[256])
{
    struct redis_target target;

    return redis_target_parse(text, &target, ret_words) == 0;
}

static bool is_match(const char *host, const char *path, const char *prefix, char ret_words[256])
{
    const struct route_match match = {.host = host, .path = path, .prefix = prefix};
    struct route_rule *rule = NULL;
    int error = route_rule_new(&match, &rule, ret_words);

    route_rule_free(rule);
    return error != -EINVAL;
}

static void judge_servers(struct bytes text,
                          void (*tell)(void *to, unsigned line, const char *words), void *to)
{
    const struct pool_member_spec preset = {.weight = 1};
    struct pool_member_spec *servers = NULL;
    size_t count;

    list_parse(text, &preset, tell, to, &servers, &count);
    free(servers);
}

static void judge(const struct route_settings *route,
                  void (*tell)(void *to, struct mark mark, const char *words), void *to)
{
    struct route_action *action = NULL;

    route_action_new(route, tell, to, &action);
    route_action_free(action);
}

struct conf_source *source_of_files(void)
{
    static struct conf_source source = {
        .read = read_file,
        .expand = expand,
        .environment = environment,
        .is_address = is_address,
        .is_endpoint = is_endpoint,
        .is_key = is_key,
        .is_store_url = is_store_url,
        .is_match = is_match,
        .judge_servers = judge_servers,
        .judge = judge,
    };

    source.balancers = balancer_names();
    source.tiers = relay_tier_names();
    return &source;
}
