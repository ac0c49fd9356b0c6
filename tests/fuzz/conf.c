/* A configuration file and up to three that it may include, in one input, with 0xff between them.
 * Whatever they say: errors or settings; and settings, written out, mean the same again. */
#include "conf/settings.h"
#include "route/action.h"

#include "fuzz.h"

#include <errno.h>
#include <stdio.h>

#define FILES_MAX 4

struct pieces {
    struct conf_source source;
    struct bytes file[FILES_MAX];
    size_t count;
};

static int read_piece(struct conf_source *source, const char *path, struct bytes *ret_text)
{
    const struct pieces *pieces = (const struct pieces *)source;
    size_t number = (size_t)(path[0] - '0');

    if (number >= pieces->count || path[1])
        return -ENOENT;
    *ret_text = exact(pieces->file[number]);
    return 0;
}

static int expand(struct conf_source *source, const char *pattern, char ***ret_paths,
                  size_t *ret_count)
{
    const struct pieces *pieces = (const struct pieces *)source;
    char **paths = calloc(FILES_MAX, sizeof *paths);

    if (!paths)
        return -ENOMEM;
    *ret_count = 0;
    for (size_t i = 0; i < pieces->count; i++)
        if (pattern[0] == '*' || pattern[0] == (char)('0' + i))
            paths[(*ret_count)++] = strdup((const char[]){(char)('0' + i), '\0'});
    *ret_paths = paths;
    return 0;
}

static const char *environment(struct conf_source *source, const char *name)
{
    (void)source;
    return name[0] == 'A' ? "10s" : NULL;
}

static void judge(const struct route_settings *route,
                  void (*tell)(void *to, struct mark mark, const char *words), void *to)
{
    struct route_action *action = NULL;

    route_action_new(route, tell, to, &action);
    route_action_free(action);
}

static void check_again(struct settings *settings)
{
    struct pieces none = {
        .source = {.read = read_piece, .expand = expand, .environment = environment}};
    struct report *report = report_new();
    char *text = settings_text(settings);
    struct settings *again = settings_parse(&none.source, "again", bytes_of(text), report);

    if (!again)
        fprintf(stderr, "%s\n%s\n", text, report_text(report));
    REQUIRE(again);
    char *same = settings_text(again);
    REQUIRE(strcmp(text, same) == 0);
    free(same);
    free(text);
    settings_free(again);
    report_free(report);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static const char *const balancers[] = {"least_connections", "round_robin", NULL};
    static const char *const tiers[] = {"splice", "copy", NULL};
    struct pieces pieces = {.source = {.read = read_piece,
                                       .expand = expand,
                                       .environment = environment,
                                       .balancers = balancers,
                                       .tiers = tiers,
                                       .judge = judge}};
    struct bytes rest = {at, len};
    struct report *report = report_new();

    while (pieces.count < FILES_MAX && (rest.len || !pieces.count)) {
        size_t end = bytes_find(rest, BYTES(0xff), 0);
        pieces.file[pieces.count++] = bytes_slice(rest, 0, end);
        rest = bytes_from(rest, end + 1);
    }
    struct settings *settings = settings_load(&pieces.source, "0", report);
    REQUIRE(!settings == (report_count(report) > 0));
    char *words = report_text(report);
    REQUIRE(words);
    if (settings && settings->secret_count == 0)
        check_again(settings);
    free(words);
    settings_free(settings);
    report_free(report);
    return 0;
}
