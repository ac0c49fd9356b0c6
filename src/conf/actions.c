/* What a route asks beside host and path, and what it does. Names and shapes are checked here; what
 * texts and names of fields mean is judged by floors above (conf_source.judge). */
#include "conf/load.h"

#include "base/check.h"
#include "base/reason.h"
#include "codec/http1.h"

#include <stdio.h>

#define ENTRIES_MAX 64 /* of a list or map of one route */

static size_t count_entries(struct loader *loader, const struct tree *tree, const char *what)
{
    size_t count = 0;

    for (const struct tree_entry *entry = tree->first; entry; entry = entry->next)
        count++;
    if (count > ENTRIES_MAX)
        complain_at(loader, tree->mark, "64 is the most", "%s: %zu are too many", what, count);
    return count > ENTRIES_MAX ? 0 : count;
}

/* --- match -------------------------------------------------------------------------------------
 */

static void load_method(struct loader *loader, const struct tree *element, void *ret_fields)
{
    const char **method = ret_fields;
    bool is_secret, is_upper = true;

    *method = "";
    const char *text = value_text(loader, element, "methods", &is_secret);
    if (!text)
        return;
    for (const char *at = text; *at; at++)
        is_upper = is_upper && !(*at >= 'a' && *at <= 'z');
    if (is_secret || !http1_is_token(bytes_of(text)) || strlen(text) > 32)
        complain_at(loader, element->mark, "write methods: [ GET, POST ]",
                    "methods: this is no method");
    else if (!is_upper)
        complain_at(loader, element->mark, "write GET, POST, PUT, ...",
                    "methods: \"%s\" is no method: they are written in capitals", text);
    else if (strcmp(text, "CONNECT") == 0)
        complain_at(loader, element->mark, "leave it out", "methods: CONNECT is not served");
    *method = text;
}

static bool is_field_name(struct loader *loader, const struct tree_entry *entry)
{
    if (http1_is_token(bytes_of(entry->key)))
        return true;
    complain_at(loader, entry->mark, NULL, "\"%.80s\" is no name of a field", entry->key);
    return false;
}

static void load_field_match(struct loader *loader, const struct tree_entry *entry,
                             struct field_match_settings *field)
{
    const struct tree *value = entry->value;
    bool is_word = value->kind == TREE_SCALAR && !value->is_quoted;

    *field = (struct field_match_settings){.name = entry->key, .value = ""};
    if (!is_field_name(loader, entry))
        return;
    if (bytes_equal_nocase(bytes_of(entry->key), bytes_of("host")))
        complain_at(loader, entry->mark, "write match: { host: NAME }",
                    "a host is matched by `host`, which knows ports and capitals");
    if (is_word && strcmp(value->text, "true") == 0) {
        field->kind = FIELD_PRESENT;
        return;
    }
    if (is_word && strcmp(value->text, "false") == 0) {
        field->kind = FIELD_ABSENT;
        return;
    }
    const char *text = value_text(loader, value, entry->key, &field->is_secret);
    if (text)
        field->value = text;
    if (text && field->is_secret)
        settings_keep_secret(loader, &field->value);
}

static void load_field_matches(struct loader *loader, const struct tree *fields,
                               struct match_settings *more)
{
    if (!value_is_map(loader, fields, "match.headers"))
        return;
    size_t count = count_entries(loader, fields, "match.headers");
    more->fields = count ? loader_alloc(loader, count * sizeof *more->fields) : NULL;
    for (const struct tree_entry *entry = more->fields ? fields->first : NULL; entry;
         entry = entry->next)
        load_field_match(loader, entry, &more->fields[more->field_count++]);
}

void load_match_more(struct loader *loader, const struct tree *match, struct match_settings *more)
{
    const struct tree *methods = child(match, "methods"), *fields = child(match, "headers");

    if (methods)
        more->methods = load_list(loader, methods, "methods", sizeof *more->methods, load_method,
                                  &more->method_count);
    if (methods && methods->kind == TREE_LIST && !methods->first)
        complain_at(loader, methods->mark, "add one, or leave \"methods\" out",
                    "methods: there is none");
    if (fields)
        load_field_matches(loader, fields, more);
}

/* --- fields ------------------------------------------------------------------------------------
 */

static void add_edit(struct loader *loader, struct edits_settings *edits, enum edit_op op,
                     const struct tree_entry *entry)
{
    struct edit_settings *edit = &edits->at[edits->count];
    const struct tree *value = entry->value;
    bool is_secret = false;

    *edit = (struct edit_settings){.mark = entry->key ? entry->mark : value->mark, .op = op};
    const char *text = value_text(loader, value, entry->key ? entry->key : "remove", &is_secret);
    if (!text)
        return;
    if (op != EDIT_REMOVE && !text[0]) {
        complain_at(loader, value->mark, "write something, or remove: [ NAME ]", "%s is empty",
                    entry->key);
        return;
    }
    edit->name = op == EDIT_REMOVE ? text : entry->key;
    edit->value = op == EDIT_REMOVE ? NULL : text;
    edit->is_literal = is_secret;
    if (is_secret)
        settings_keep_secret(loader, op == EDIT_REMOVE ? &edit->name : &edit->value);
    edits->count++;
}

static void add_edits(struct loader *loader, struct edits_settings *edits, enum edit_op op,
                      const struct tree *tree, const char *what)
{
    bool is_good =
        op == EDIT_REMOVE ? value_is_list(loader, tree, what) : value_is_map(loader, tree, what);
    size_t count = is_good ? count_entries(loader, tree, what) : 0;
    struct edit_settings *more =
        count ? loader_alloc(loader, (edits->count + count) * sizeof *more) : NULL;

    if (!more)
        return;
    if (edits->count)
        memcpy(more, edits->at, edits->count * sizeof *more);
    edits->at = more;
    for (const struct tree_entry *entry = tree->first; entry; entry = entry->next)
        add_edit(loader, edits, op, entry);
}

static void load_edits(struct loader *loader, const struct tree *tree, const char *what,
                       struct edits_settings *edits)
{
    static const char *const keys[] = {"set", "add", "remove", NULL};
    const struct section section = {what, NULL, 0, keys};

    section_load(loader, &section, tree, NULL);
    if (tree->kind != TREE_MAP)
        return;
    for (int op = EDIT_SET; op <= EDIT_REMOVE; op++)
        if (child(tree, keys[op]))
            add_edits(loader, edits, (enum edit_op)op, child(tree, keys[op]), keys[op]);
}

static void load_headers(struct loader *loader, const struct tree *headers,
                         struct route_settings *route)
{
    static const char *const keys[] = {"request", "response", NULL};
    const struct section section = {"headers", NULL, 0, keys};

    section_load(loader, &section, headers, NULL);
    if (headers->kind != TREE_MAP)
        return;
    if (child(headers, "request"))
        load_edits(loader, child(headers, "request"), "headers.request", &route->request_edits);
    if (child(headers, "response"))
        load_edits(loader, child(headers, "response"), "headers.response", &route->response_edits);
    if (child(headers, "request") && route->kind != ROUTE_POOLS)
        complain_at(loader, mark_of(headers, "request"), "leave it out",
                    "headers.request changes what a server is asked, and this route asks none");
}

/* --- actions -----------------------------------------------------------------------------------
 */

static void load_share(struct loader *loader, const struct tree *element, void *ret_fields)
{
    struct share_settings *share = ret_fields;
    bool is_secret = false;

    section_preset(loader, &section_share, share);
    share->mark = element->mark;
    if (element->kind == TREE_SCALAR)
        share->pool = value_text(loader, element, "pools", &is_secret);
    else
        section_load(loader, &section_share, element, share);
    if (element->kind == TREE_MAP)
        share->mark = mark_of(element, "pool");
    if (element->kind == TREE_MAP && !tree_find(element, "pool"))
        complain_at(loader, element->mark, "write { pool: NAME, weight: 5 }",
                    "\"pool\" is missing");
    size_t found = share->pool ? find_pool_named(loader, share->mark, &share->pool) : SIZE_MAX;
    share->pool_index = found == SIZE_MAX ? 0 : found;
    if (!share->pool)
        share->pool = "";
}

static void load_shares(struct loader *loader, const struct tree *shares,
                        struct route_settings *route)
{
    uint64_t sum = 0;

    size_t count = shares->kind == TREE_LIST ? count_entries(loader, shares, "pools") : 1;
    if (!count && shares->first)
        return;
    route->shares =
        load_list(loader, shares, "pools", sizeof *route->shares, load_share, &route->share_count);
    for (size_t i = 0; i < route->share_count; i++) {
        sum += route->shares[i].weight;
        for (size_t k = 0; k < i; k++)
            if (strcmp(route->shares[k].pool, route->shares[i].pool) == 0)
                complain_at(loader, route->shares[i].mark, "add up their weights",
                            "pools: \"%s\" is named twice",
                            settings_shown(loader->settings, &route->shares[i].pool));
    }
    if (shares->kind == TREE_LIST && !sum)
        complain_at(loader, shares->mark, "add { pool: NAME, weight: 1 }",
                    route->share_count ? "pools: all weights are 0" : "pools: there is none");
    if (route->share_count)
        route->pool_index = route->shares[0].pool_index;
}

static void load_respond(struct loader *loader, const struct tree *respond,
                         struct route_settings *route)
{
    const struct tree *headers = respond->kind == TREE_MAP ? child(respond, "headers") : NULL;

    route->respond_mark = respond->mark;
    section_preset(loader, &section_respond, route);
    section_load(loader, &section_respond, respond, route);
    if (headers)
        add_edits(loader, &route->respond_fields, EDIT_SET, headers, "respond.headers");
}

static void load_redirect(struct loader *loader, const struct tree *redirect,
                          struct route_settings *route)
{
    static const uint64_t statuses[] = {301, 302, 303, 307, 308};
    bool is_known = false;

    section_preset(loader, &section_redirect, route);
    section_load(loader, &section_redirect, redirect, route);
    if (redirect->kind != TREE_MAP)
        return;
    route->redirect_mark = mark_of(redirect, "to");
    if (!route->redirect_to && !tree_find(redirect, "to"))
        complain_at(loader, redirect->mark,
                    "write redirect: { to: \"https://{host}{path}{query}\" }", "\"to\" is missing");
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        is_known = is_known || statuses[i] == route->redirect_status;
    if (!is_known)
        complain_at(loader, mark_of(redirect, "status"), "write 301, 302, 303, 307 or 308",
                    "redirect.status: %llu leads nowhere",
                    (unsigned long long)route->redirect_status);
}

static const char *const kinds[] = {"pool", "pools", "respond", "redirect"};

/* The first of the four; another one is an error. */
static const struct tree_entry *find_action(struct loader *loader, const struct tree *element)
{
    const struct tree_entry *first = NULL;

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct tree_entry *entry = tree_find(element, kinds[i]);
        if (entry && first)
            complain_at(loader, entry->mark, "leave one of the two out",
                        "a route does one thing, and this one has `%s` already", first->key);
        if (entry && !first)
            first = entry;
    }
    if (!first)
        complain_at(loader, element->mark, "add pool: NAME (or pools, respond, redirect)",
                    "\"pool\" is missing");
    return first;
}

struct hearer {
    struct loader *loader;
    const struct route_settings *route;
};

static void hear(void *to, struct mark mark, const char *words)
{
    const struct hearer *hearer = to;
    const struct settings *settings = hearer->loader->settings;
    bool is_secret = settings_is_secret(settings, &hearer->route->strip_prefix) ||
                     settings_is_secret(settings, &hearer->route->redirect_to);

    complain_at(hearer->loader, mark, NULL, "%s",
                is_secret ? "a value from elsewhere will not do" : words);
}

static void inherit(struct loader *loader, const struct tree *element, size_t pool,
                    struct route_settings *route)
{
    if (pool < loader->settings->pool_count && !tree_find(element, "on_removed"))
        route->on_removed = loader->settings->pools[pool].on_removed;
}

static void load_pool_of(struct loader *loader, const struct tree *element,
                         struct route_settings *route)
{
    route->pool_mark = mark_of(element, "pool");
    if (!route->pool)
        return; /* said already */
    size_t found = find_pool_named(loader, route->pool_mark, &route->pool);
    if (found != SIZE_MAX)
        route->pool_index = found;
}

void load_action(struct loader *loader, const struct tree *element, struct route_settings *route)
{
    size_t errors = report_count(loader->report);
    const struct tree_entry *action = find_action(loader, element);
    struct hearer hearer = {loader, route};

    route->strip_mark = mark_of(element, "strip_prefix");
    if (action && strcmp(action->key, "respond") == 0) {
        route->kind = ROUTE_RESPOND;
        load_respond(loader, action->value, route);
    } else if (action && strcmp(action->key, "redirect") == 0) {
        route->kind = ROUTE_REDIRECT;
        load_redirect(loader, action->value, route);
    } else if (action && strcmp(action->key, "pools") == 0) {
        load_shares(loader, action->value, route);
    } else if (action) {
        load_pool_of(loader, element, route);
    }
    if (route->kind == ROUTE_POOLS)
        inherit(loader, element, route->pool_index, route);
    if (child(element, "headers"))
        load_headers(loader, child(element, "headers"), route);
    if (loader->source->judge && report_count(loader->report) == errors)
        loader->source->judge(route, hear, &hearer);
}

/* --- error pages -------------------------------------------------------------------------------
 */

static bool is_our_status(uint64_t status)
{
    for (unsigned i = 0; i < REASON_COUNT; i++)
        if (status >= 400 && reason_row(i)->http_status == status)
            return true;
    return false;
}

static uint64_t parse_status(const char *text)
{
    uint64_t status = 0;

    for (; *text >= '0' && *text <= '9' && status < 1000; text++)
        status = status * 10 + (uint64_t)(*text - '0');
    return *text ? 0 : status;
}

static void load_error_page(struct loader *loader, const struct tree_entry *entry,
                            struct error_page_settings *page)
{
    bool is_secret = false;
    const char *path = value_text(loader, entry->value, "error_pages", &is_secret);

    page->mark = entry->value->mark;
    page->status = parse_status(entry->key);
    page->path = path ? path_beside(loader, entry->value->mark.file, path) : "";
    if (is_secret)
        settings_keep_secret(loader, &page->path);
    if (!is_our_status(page->status))
        complain_at(loader, entry->mark, "write a status such as 404, 502, 503 or 504",
                    "error_pages: \"%.20s\" is no status that turnout itself answers with",
                    entry->key);
    if (path && !path[0])
        complain_at(loader, entry->value->mark, "write the path of a file", "error_pages: no file");
}

void load_error_pages(struct loader *loader, const struct tree *pages)
{
    struct settings *settings = loader->settings;

    if (!pages || !value_is_map(loader, pages, "error_pages"))
        return;
    size_t count = count_entries(loader, pages, "error_pages");
    settings->error_pages =
        count ? loader_alloc(loader, count * sizeof *settings->error_pages) : NULL;
    for (const struct tree_entry *entry = settings->error_pages ? pages->first : NULL; entry;
         entry = entry->next)
        load_error_page(loader, entry, &settings->error_pages[settings->error_page_count++]);
}
