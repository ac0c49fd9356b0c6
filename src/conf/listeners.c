/* The section `listeners`: each by its tables, then what its keys mean to each other. */
#include "conf/load.h"

static const char *wanted_text(struct loader *loader, struct mark mark, const char *text,
                               const char *key, const char *hint)
{
    if (!text)
        complain_at(loader, mark, hint, "\"%s\" is missing", key);
    return text ? text : "";
}

static void load_certificate(struct loader *loader, const struct tree *element, void *ret_fields)
{
    struct certificate_settings *certificate = ret_fields;

    certificate->mark = element->mark;
    section_load(loader, &section_certificate, element, certificate);
    if (element->kind != TREE_MAP)
        return;
    certificate->cert = wanted_text(loader, element->mark, certificate->cert, "cert",
                                    "write { cert: FILE, key: FILE }");
    certificate->key = wanted_text(loader, element->mark, certificate->key, "key",
                                   "write { cert: FILE, key: FILE }");
}

static void load_tls(struct loader *loader, const struct tree *tls,
                     struct listener_settings *listener)
{
    section_load(loader, &section_tls, tls, listener);
    if (tls->kind != TREE_MAP)
        return;
    listener->certificates =
        load_list(loader, child(tls, "certificates"), "certificates",
                  sizeof *listener->certificates, load_certificate, &listener->certificate_count);
    if (!tree_find(tls, "mode"))
        complain_at(loader, tls->mark, "write mode: terminate or mode: passthrough",
                    "\"mode\" is missing");
    else if (listener->tls_mode == TLS_TERMINATE && !listener->certificate_count)
        complain_at(loader, tls->mark, "add certificates: [ { cert: FILE, key: FILE } ]",
                    "to terminate TLS, a certificate is needed");
    else if (listener->tls_mode == TLS_PASSTHROUGH && tree_find(tls, "certificates"))
        complain_at(loader, mark_of(tls, "certificates"),
                    "leave them out, or write mode: terminate",
                    "passthrough uses no certificates: the servers have them");
}

static void check_tcp(struct loader *loader, const struct listener_settings *listener)
{
    if (!listener->tcp_pool)
        return;
    if (listener->tls_mode == TLS_PASSTHROUGH)
        complain_at(loader, listener->tcp_mark, "leave one of the two out",
                    "passthrough chooses the pool by server name, tcp names it");
    if (listener->proxy_in == PROXY_IN_OPTIONAL)
        complain_at(loader, listener->proxy_mark, "write required, or no",
                    "with tcp a header cannot be optional: where the server speaks first, nothing "
                    "might ever come");
}

/* Its store is known: stores are loaded first. */
static void check_sessions(struct loader *loader, struct listener_settings *listener)
{
    if (!listener->sessions)
        return;
    listener->sessions_index = find_store_named(loader, listener->sessions_mark,
                                                "listeners.sessions", &listener->sessions);
    if (listener->tcp_pool)
        complain_at(loader, listener->tcp_mark, "leave one of the two out",
                    "servers ask for their sessions here, by HTTP, and `tcp` speaks none");
    if (listener->proxy_in != PROXY_IN_NO)
        complain_at(loader, listener->proxy_mark, "leave one of the two out",
                    "servers ask for their sessions here themselves, without a proxy between");
    if (listener->tls_mode == TLS_PASSTHROUGH)
        complain_at(loader, listener->sessions_mark, "leave one of the two out",
                    "servers ask for their sessions here, and passthrough hears nobody");
}

static void load_listener(struct loader *loader, const struct tree *element, void *ret_fields)
{
    struct listener_settings *listener = ret_fields;
    const char *hint = "write 127.0.0.1:8080, \"[::1]:8080\" or \"unix:/run/x.sock\"";

    listener->mark = element->mark;
    section_preset(loader, &section_listener, listener);
    section_load(loader, &section_listener, element, listener);
    if (element->kind == TREE_MAP) {
        listener->mark = mark_of(element, "listen");
        if (!tree_find(element, "listen"))
            complain_at(loader, element->mark, hint, "\"listen\" is missing");
        listener->tcp_mark = mark_of(element, "tcp");
        listener->proxy_mark = mark_of(element, "proxy_protocol");
        listener->sessions_mark = mark_of(element, "sessions");
        if (child(element, "tls"))
            load_tls(loader, child(element, "tls"), listener);
    }
    check_tcp(loader, listener);
    check_sessions(loader, listener);
    if (listener->listen && loader->source->is_endpoint &&
        !loader->source->is_endpoint(listener->listen))
        complain_at(loader, listener->mark, hint, "\"%s\" is no address to listen on",
                    settings_shown(loader->settings, &listener->listen));
    if (!listener->listen)
        listener->listen = "";
}

static void check_listener(struct loader *loader, size_t number)
{
    const struct listener_settings *listeners = loader->settings->listeners,
                                   *listener = &listeners[number];

    for (size_t k = 0; k < number && listener->listen[0]; k++) {
        if (strcmp(listener->listen, listeners[k].listen) != 0)
            continue;
        complain_at(loader, listener->mark, "leave one of the two out",
                    "two listeners on %s; the first in %s:%u:%u",
                    settings_shown(loader->settings, &listener->listen), listeners[k].mark.file,
                    listeners[k].mark.line, listeners[k].mark.column);
        return;
    }
}

/* Where a header is waited for, someone must be trusted to send one. */
static void check_introduction(struct loader *loader, const struct listener_settings *listener)
{
    const struct settings *settings = loader->settings;
    bool is_unix = strncmp(listener->listen, "unix:", 5) == 0, is_there = false;

    if (listener->proxy_in == PROXY_IN_NO)
        return;
    for (size_t i = 0; i < settings->trusted_proxy_count && !is_there; i++)
        is_there = settings->trusted_proxies[i] &&
                   (strcmp(settings->trusted_proxies[i], "unix") == 0) == is_unix;
    if (!is_there)
        complain_at(loader, listener->proxy_mark,
                    is_unix ? "add trusted_proxies: [ unix ] at the top of the file"
                            : "add trusted_proxies: [ ADDRESS ] at the top of the file",
                    "nobody may speak PROXY here: trusted_proxies names %s",
                    is_unix ? "no \"unix\"" : "no address");
}

void load_listeners(struct loader *loader, const struct tree *whole)
{
    struct settings *settings = loader->settings;

    if (!child(whole, "listeners"))
        complain_at(loader, whole->mark, "add listeners: [ { listen: 127.0.0.1:8080 } ]",
                    "\"listeners\" is missing");
    settings->listeners =
        load_list(loader, child(whole, "listeners"), "listeners", sizeof *settings->listeners,
                  load_listener, &settings->listener_count);
    for (size_t i = 0; i < settings->listener_count; i++) {
        check_listener(loader, i);
        check_introduction(loader, &settings->listeners[i]);
    }
    if (child(whole, "listeners") && child(whole, "listeners")->kind == TREE_LIST &&
        !child(whole, "listeners")->first)
        complain_at(loader, child(whole, "listeners")->mark, "add { listen: 127.0.0.1:8080 }",
                    "there is no listener");
}
