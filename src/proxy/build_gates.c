/* The listeners of a snapshot. Certificates that did not change since the snapshot before keep
 * their TLS contexts: a reload under thousands of wss connections costs nothing, and its memory
 * does not grow. */
#include "proxy/snapshot_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct pems {
    struct tls_certificate *certificate;
    size_t count;
    uint64_t hash; /* of all their bytes: only to see whether anything changed */
};

static uint64_t hash_more(uint64_t hash, struct bytes bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        hash = (hash ^ bytes.at[i]) * 0x100000001b3u; /* FNV-1a */
    return (hash ^ 0xff) * 0x100000001b3u;
}

static void free_pems(struct pems *pems)
{
    for (size_t i = 0; i < pems->count; i++) {
        free((void *)(uintptr_t)pems->certificate[i].certificate.at);
        struct bytes key = pems->certificate[i].key;
        if (key.at)
            explicit_bzero((void *)(uintptr_t)key.at, key.len);
        free((void *)(uintptr_t)key.at);
    }
    free(pems->certificate);
}

static bool read_pem(struct build *b, struct mark mark, const char *path, struct bytes *ret_text)
{
    int error = b->means->source->read(b->means->source, path, ret_text);

    if (error)
        report_add(b->report, mark, "is the path right, and may this user read it?",
                   "cannot read \"%s\": %s", path, strerror(-error));
    return !error;
}

static bool read_pems(struct build *b, const struct listener_settings *settings,
                      struct pems *ret_pems)
{
    bool is_good = true;

    *ret_pems = (struct pems){.hash = 0xcbf29ce484222325u};
    ret_pems->certificate = calloc(settings->certificate_count, sizeof *ret_pems->certificate);
    if (!ret_pems->certificate) {
        out_of_memory(b);
        return false;
    }
    ret_pems->count = settings->certificate_count;
    for (size_t i = 0; i < settings->certificate_count; i++) {
        const struct certificate_settings *from = &settings->certificates[i];
        struct tls_certificate *to = &ret_pems->certificate[i];
        is_good = read_pem(b, from->mark, from->cert, &to->certificate) && is_good;
        is_good = read_pem(b, from->mark, from->key, &to->key) && is_good;
        ret_pems->hash = hash_more(hash_more(ret_pems->hash, to->certificate), to->key);
    }
    return is_good;
}

static bool make_context(struct build *b, const struct listener_settings *settings,
                         const struct pems *pems, struct tls_worker *worker,
                         struct tls_context **ret_context)
{
    char words[256] = "";
    size_t which = 0;
    int error = tls_context_new(worker, pems->certificate, pems->count, b->means->tickets,
                                ret_context, &which, words);

    if (error == -EINVAL)
        report_add(b->report, settings->certificates[which].mark, NULL, "%s", words);
    else if (error)
        out_of_memory(b);
    return !error;
}

/* Without workers (`check`) the certificates are tried in a context that is thrown away. */
static void try_certificates(struct build *b, const struct listener_settings *settings,
                             const struct pems *pems)
{
    struct tls_worker *worker = NULL;
    struct tls_context *context = NULL;

    if (tls_worker_new(&worker)) {
        out_of_memory(b);
        return;
    }
    make_context(b, settings, pems, worker, &context);
    tls_context_unref(context);
    tls_worker_free(worker);
}

/* The gate of the snapshot before that has the very same certificates. */
static const struct gate_spec *same_certificates(const struct build *b,
                                                 const struct gate_spec *gate)
{
    for (size_t i = 0; b->before && i < b->before->settings->listener_count; i++) {
        const struct gate_spec *old = &b->before->gates[i];
        if (old->tls && old->certificates_hash == gate->certificates_hash)
            return old;
    }
    return NULL;
}

static void make_contexts(struct build *b, struct gate_spec *gate, const struct pems *pems)
{
    const struct gate_spec *same = same_certificates(b, gate);

    gate->tls = calloc(b->means->workers, sizeof *gate->tls);
    if (!gate->tls) {
        out_of_memory(b);
        return;
    }
    for (unsigned i = 0; i < b->means->workers; i++) {
        if (same)
            gate->tls[i] = tls_context_ref(same->tls[i]);
        else if (!make_context(b, gate->settings, pems, b->means->tls[i], &gate->tls[i]))
            return;
    }
}

static void build_tcp_route(struct build *b, struct gate_spec *gate)
{
    gate->tcp = calloc(1, sizeof *gate->tcp);
    if (gate->tcp)
        *gate->tcp = route_of(b->made, gate->settings->tcp_route);
    else
        out_of_memory(b);
}

void build_gate(struct build *b, size_t number)
{
    struct gate_spec *gate = &b->made->gates[number];
    const struct listener_settings *settings = &b->made->settings->listeners[number];
    struct pems pems;

    gate->settings = settings;
    if (endpoint_parse(settings->listen, &gate->endpoint))
        report_add(b->report, settings->mark,
                   "write 127.0.0.1:8080, \"[::1]:8080\" or \"unix:/run/x.sock\"",
                   "\"%s\" is no address to listen on", settings->listen);
    if (settings->tcp_route)
        build_tcp_route(b, gate);
    if (settings->tls_mode != TLS_TERMINATE)
        return;
    if (read_pems(b, settings, &pems)) {
        gate->certificates_hash = pems.hash;
        if (b->means->tls)
            make_contexts(b, gate, &pems);
        else
            try_certificates(b, settings, &pems);
    }
    free_pems(&pems);
}

void free_gate(struct gate_spec *gate, unsigned workers)
{
    for (unsigned i = 0; gate->tls && i < workers; i++)
        tls_context_unref(gate->tls[i]);
    free(gate->tls);
    free(gate->tcp);
}
