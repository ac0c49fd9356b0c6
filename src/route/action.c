/* Everything that can be wrong in an action is found here, once, both for `check` (conf asks by
 * conf_source.judge, so that all errors come together) and for the snapshot that serves. */
#include "route/action.h"

#include "route/teller.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* --- redirects ---------------------------------------------------------------------------------
 */

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static const char *const schemes[] = {"http://", "https://", "ws://", "wss://", "{scheme}://"};

/* What is behind the scheme; NULL: there is none. */
static const char *behind_scheme(const char *to)
{
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (begins(to, schemes[i]))
            return to + strlen(schemes[i]);
    return NULL;
}

/* A host that somebody else could make longer would be anybody's. */
static int check_host(const struct teller *teller, const char *host)
{
    const char *at = host;

    while (*at && *at != '/' && *at != '?' && *at != '#' && !begins(at, "{path}") &&
           !begins(at, "{rest}") && strcmp(at, "{query}") != 0) {
        if (begins(at, "{host}")) {
            at += strlen("{host}");
            continue;
        }
        if (*at == '{')
            return teller_complain(teller,
                                   "to: of what a request says only {host} may stand in the host; "
                                   "anything else would let a client choose where it leads");
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]", *at))
            return teller_complain(teller, "to: \"%c\" may not stand in a host", *at);
        at++;
    }
    return at == host ? teller_complain(teller, "to: the host is missing") : 0;
}

static int check_to(const struct teller *teller, const char *to)
{
    const char *host = behind_scheme(to);

    if (host)
        return check_host(teller, host);
    if ((to[0] == '/' && to[1] != '/') || begins(to, "{path}") || begins(to, "{rest}"))
        return 0;
    return teller_complain(teller,
                           "to: \"%.80s\" must begin with https://HOST, http://HOST, "
                           "{scheme}://HOST, one slash, {path} or {rest}",
                           to);
}

static int make_redirect(struct route_action *action, const struct route_settings *settings,
                         struct teller *teller)
{
    char words[256];

    teller->mark = settings->redirect_mark;
    action->status = (unsigned)settings->redirect_status;
    int error = check_to(teller, settings->redirect_to);
    if (error)
        return error;
    error = template_new(settings->redirect_to, TEMPLATE_URL, &action->to, words);
    return error == -EINVAL ? teller_complain(teller, "to: %s", words) : error;
}

int route_action_locate(const struct route_action *action, const struct facts *facts,
                        struct buf *to)
{
    struct buf whole;

    if (template_names(action->to, "host") && !facts->host.len)
        return -EDESTADDRREQ;
    buf_init(&whole, to->limit_bytes);
    int error = template_write(action->to, facts, &whole);
    struct bytes text = buf_bytes(&whole);
    while (text.len > 1 && text.at[0] == '/' && (text.at[1] == '/' || text.at[1] == '\\'))
        text = bytes_from(text, 1);
    if (!error)
        error = buf_append(to, text);
    buf_done(&whole);
    return error;
}

/* --- answers -----------------------------------------------------------------------------------
 */

static int make_respond(struct route_action *action, const struct route_settings *settings,
                        struct teller *teller)
{
    bool has_no_body = settings->respond_status == 204 || settings->respond_status == 304;

    teller->mark = settings->respond_mark;
    action->status = (unsigned)settings->respond_status;
    action->body = settings->respond_body ? bytes_of(settings->respond_body) : (struct bytes){0};
    if (has_no_body && action->body.len)
        return teller_complain(teller, "%u has no body; leave `body` out", action->status);
    return edits_init(&action->fields, &settings->respond_fields, TEMPLATE_OWN, teller->tell,
                      teller->to);
}

static int append_line(struct buf *lines, const char *name, struct bytes value)
{
    int error = buf_append(lines, bytes_of(name));

    if (!error)
        error = buf_append(lines, bytes_of(": "));
    if (!error)
        error = buf_append(lines, value);
    return error ? error : buf_append(lines, bytes_of("\r\n"));
}

int route_action_answer(const struct route_action *action, const struct facts *facts,
                        struct buf *lines)
{
    struct bytes type = bytes_of("Content-Type");
    int error = edits_apply(&action->fields, facts, lines);

    if (!error && action->body.len && !edits_lines_have(buf_bytes(lines), type))
        error = append_line(lines, "Content-Type", bytes_of("text/plain; charset=utf-8"));
    if (!error && action->kind == ROUTE_REDIRECT) {
        error = buf_append(lines, bytes_of("Location: "));
        if (!error)
            error = route_action_locate(action, facts, lines);
        if (!error)
            error = buf_append(lines, bytes_of("\r\n"));
    }
    return error ? error : edits_apply(&action->response, facts, lines);
}

/* --- the whole ---------------------------------------------------------------------------------
 */

static int make_strip(struct route_action *action, const struct route_settings *settings,
                      struct teller *teller)
{
    const struct route_match match = {.prefix = settings->strip_prefix};
    char words[256];

    if (!settings->strip_prefix)
        return 0;
    teller->mark = settings->strip_mark;
    int error = route_rule_new(&match, &action->strip, words);
    return error == -EINVAL ? teller_complain(teller, "strip_prefix: %s", words) : error;
}

/* What names a claim, of edits that compiled. */
static int check_claims(const struct edits *edits, const struct edits_settings *settings,
                        struct teller *teller)
{
    int error = 0;

    for (size_t i = 0; i < edits->count; i++) {
        if (!edits->edit[i].value || !template_names(edits->edit[i].value, "jwt."))
            continue;
        teller->mark = settings->at[i].mark;
        error = teller_complain(teller,
                                "%.60s: {jwt.N} is a claim of a token, and this route asks for "
                                "none; add access: { jwt: ... }",
                                settings->at[i].name);
    }
    return error;
}

static int check_all_claims(const struct route_action *action,
                            const struct route_settings *settings, struct teller *teller)
{
    if (settings->access.has_jwt)
        return 0;
    int error = check_claims(&action->request, &settings->request_edits, teller);
    if (check_claims(&action->response, &settings->response_edits, teller))
        error = -EINVAL;
    if (check_claims(&action->fields, &settings->respond_fields, teller))
        error = -EINVAL;
    if (!action->to || !template_names(action->to, "jwt."))
        return error;
    teller->mark = settings->redirect_mark;
    return teller_complain(teller,
                           "to: {jwt.N} is a claim of a token, and this route asks for none; add "
                           "access: { jwt: ... }");
}

static int worse(int a, int b)
{
    return a == -ENOMEM || b == 0 ? a : b;
}

int route_action_new(const struct route_settings *settings, edits_tell_fn *tell, void *to,
                     struct route_action **ret_action)
{
    struct route_action *action = calloc(1, sizeof *action);
    struct teller teller = {tell, to, settings->mark};
    enum template_use answer = settings->kind == ROUTE_POOLS ? TEMPLATE_RESPONSE : TEMPLATE_OWN;

    if (!action)
        return -ENOMEM;
    action->kind = settings->kind;
    int error = make_strip(action, settings, &teller);
    error = worse(
        error, edits_init(&action->request, &settings->request_edits, TEMPLATE_REQUEST, tell, to));
    error =
        worse(error, edits_init(&action->response, &settings->response_edits, answer, tell, to));
    if (settings->kind == ROUTE_RESPOND)
        error = worse(error, make_respond(action, settings, &teller));
    if (settings->kind == ROUTE_REDIRECT)
        error = worse(error, make_redirect(action, settings, &teller));
    if (!error)
        error = check_all_claims(action, settings, &teller);
    if (error)
        route_action_free(action);
    else
        *ret_action = action;
    return error;
}

struct route_action *route_action_free(struct route_action *action)
{
    if (!action)
        return NULL;
    route_rule_free(action->strip);
    edits_done(&action->request);
    edits_done(&action->response);
    edits_done(&action->fields);
    template_free(action->to);
    free(action);
    return NULL;
}
