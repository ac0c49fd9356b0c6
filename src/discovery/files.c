/* Follows files of servers. inotify watches the directory, since a file that is replaced by rename
 * is another one; whatever happens there, the file is looked at. Every few seconds it is looked at
 * anyway: a link into another directory, or a network's file system, tells nothing. What is read is
 * believed when it was read twice alike, so that a file being written is not taken half. */
#include "discovery/discovery_priv.h"

#include "base/check.h"
#include "discovery/list.h"
#include "sys/sys.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>

#define LOOK_USEC     UINT64_C(5000000)
#define SETTLE_USEC   UINT64_C(50000)
#define NOTICES_BYTES 4096
#define EVENTS                                                                                     \
    (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_DELETE_SELF |       \
     IN_MOVE_SELF)

/* --- what it says -------------------------------------------------------------------------------
 */

struct complaint {
    struct origin *origin;
    unsigned first_line;
    char first[ORIGIN_WORDS_BYTES];
};

static void hear(void *to, unsigned line, const char *words)
{
    struct complaint *complaint = to;
    struct origin *origin = complaint->origin;

    log_say(origin->discovery->means.log, EVENT_notice, "%s:%u: %s", origin->what, line, words);
    if (complaint->first_line)
        return;
    complaint->first_line = line;
    snprintf(complaint->first, sizeof complaint->first, "%s", words);
}

static void judge(struct origin *origin)
{
    const struct pool_member_spec preset = {.weight = origin->weight,
                                            .max_connections = origin->max_connections};
    struct complaint complaint = {.origin = origin};
    struct pool_member_spec *servers = NULL;
    size_t count = 0;
    int error = list_parse(origin->text, &preset, hear, &complaint, &servers, &count);

    origin->is_judged = true;
    if (error == -EINVAL) {
        origin_failed(origin, "line %u: %s", complaint.first_line, complaint.first);
    } else if (error) {
        origin->is_judged = false;
        origin_failed(origin, "out of memory");
    } else if (!count) {
        free(servers);
        origin_failed(origin, "it names no server");
    } else {
        origin_found(origin, servers, count, NULL);
    }
}

static void keep_text(struct origin *origin, struct bytes take_text)
{
    free((void *)(uintptr_t)origin->text.at);
    origin->text = take_text;
    origin->is_judged = false;
}

/* --- inotify ------------------------------------------------------------------------------------
 */

/* Something happened where a file lies; or too much did (watch < 0), and which is not known. */
static void on_notice(struct discovery *discovery, int watch, uint32_t events)
{
    list_each(node, &discovery->origins) {
        struct origin *origin = container_of(node, struct origin, node);
        if (origin->finder != &finder_file || (watch >= 0 && origin->watch != watch))
            continue;
        if (events & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF))
            origin->watch = -1; /* another directory may stand there by now */
        origin_arm(origin, 0);
    }
}

/* Reading takes nothing away from under anyone, so it is done at once. */
static void on_notices(struct source *source, unsigned ready)
{
    struct discovery *discovery = source->owner;
    _Alignas(struct inotify_event) char at[NOTICES_BYTES];
    ssize_t got;

    (void)ready;
    while ((got = sys_read(source->fd, at, sizeof at)) > 0) {
        for (size_t from = 0; from < (size_t)got;) {
            const struct inotify_event *event = (const void *)(at + from);
            on_notice(discovery, event->wd, event->mask);
            from += sizeof *event + event->len;
        }
    }
    source->ready = 0;
}

/* Without inotify files are looked at every few seconds. */
static void open_notices(struct discovery *discovery)
{
    int fd = discovery->notices.fd < 0 ? sys_inotify_open() : -1;

    if (fd < 0)
        return;
    source_init(&discovery->notices, fd);
    discovery->notices.on_ready = on_notices;
    discovery->notices.owner = discovery;
    if (!loop_watch(discovery->means.loop, &discovery->notices))
        return;
    sys_close(fd);
    discovery->notices.fd = -1;
}

/* --- when it is looked at -----------------------------------------------------------------------
 */

static void watch_directory(struct origin *origin)
{
    struct discovery *discovery = origin->discovery;
    const char *slash = strrchr(origin->what, '/');
    char directory[PATH_MAX] = ".";

    if (origin->watch >= 0)
        return;
    open_notices(discovery);
    if (discovery->notices.fd < 0)
        return;
    if (slash)
        snprintf(directory, sizeof directory, "%.*s", (int)(slash - origin->what) + 1,
                 origin->what);
    origin->watch = sys_inotify_watch(discovery->notices.fd, directory, EVENTS);
}

static bool is_same(struct bytes a, struct bytes b)
{
    return a.at && b.at && bytes_equal(a, b);
}

/* The same a second time is believed. */
static void look(struct origin *origin)
{
    struct conf_source *source = origin->discovery->means.source;
    struct bytes text = {0};
    uint64_t wait_usec = LOOK_USEC;

    watch_directory(origin);
    int error = source->read(source, origin->what, &text);
    if (error) {
        keep_text(origin, (struct bytes){0});
        origin_failed(origin, "cannot be read: %s", strerror(-error));
    } else if (!is_same(text, origin->text)) {
        keep_text(origin, text);
        wait_usec = SETTLE_USEC;
    } else {
        free((void *)(uintptr_t)text.at);
        if (!origin->is_judged)
            judge(origin);
    }
    origin_arm(origin, wait_usec);
}

/* At the start, and where it is told to: the first reading counts, nobody writes it now. */
static void begin(struct origin *origin)
{
    if (origin->due_usec)
        return;
    look(origin);
    if (origin->text.at && !origin->is_judged)
        judge(origin);
}

static bool is_watched_by_others(const struct origin *origin)
{
    list_each(node, &origin->discovery->origins) {
        const struct origin *other = container_of(node, struct origin, node);
        if (other != origin && other->finder == &finder_file && other->watch == origin->watch)
            return true;
    }
    return false;
}

static void end(struct origin *origin)
{
    if (origin->watch >= 0 && !is_watched_by_others(origin))
        sys_inotify_forget(origin->discovery->notices.fd, origin->watch);
    free((void *)(uintptr_t)origin->text.at);
    origin->text = (struct bytes){0};
}

const struct finder finder_file = {.name = "file", .begin = begin, .turn = look, .end = end};

void files_close(struct discovery *discovery)
{
    if (discovery->notices.fd >= 0)
        sys_close(discovery->notices.fd);
}
