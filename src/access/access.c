/* Cheap questions first: an address, an origin, then a signature.
 *
 * A request without Origin passes `origins`. The list is against pages that use a visitor's cookies
 * from elsewhere, and every browser says Origin with a handshake; who is no browser can say what it
 * likes. */
#include "access/access.h"

#include "access/origin.h"
#include "access/token.h"
#include "base/check.h"
#include "codec/url.h"
#include "conf/directive.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define USEC_PER_SEC   UINT64_C(1000000)
#define HTTP_PORT      80
#define HOST_MAX_BYTES 64

struct access {
    struct cidr_set allow, deny;
    struct origin *origins;
    size_t origin_count;
    bool has_jwt, has_auth;
    struct jwt_keys *keys;
    struct jwt_rules rules;
    struct token_source *sources;
    size_t source_count;
    struct access_auth auth;
    char host[HOST_MAX_BYTES];
    char *target;
};

/* --- compiling -----------------------------------------------------------------------------------
 */

struct build {
    const struct settings *whole;
    const struct access_settings *settings;
    struct report *report;
    struct access *made;
};

static void out_of_memory(const struct build *b)
{
    report_add(b->report, (struct mark){0}, NULL, "out of memory");
}

static void build_origins(const struct build *b)
{
    const struct texts *texts = &b->settings->origins;
    struct access *access = b->made;

    access->origins = calloc(texts->count, sizeof *access->origins);
    if (!access->origins && texts->count) {
        out_of_memory(b);
        return;
    }
    access->origin_count = texts->count;
    for (size_t i = 0; i < texts->count; i++)
        if (!origin_pattern_parse(bytes_of(texts->at[i]), &access->origins[i]))
            report_add(b->report, texts->marks[i],
                       "write \"https://app.example.com\", \"https://*.example.com\", \"null\" "
                       "(files and sandboxes) or \"same\" (the host that is asked)",
                       "access.origins: \"%s\" is no origin",
                       settings_shown(b->whole, &texts->at[i]));
}

static void build_sources(const struct build *b)
{
    const struct texts *texts = &b->settings->jwt_from;
    struct access *access = b->made;

    access->sources = calloc(texts->count, sizeof *access->sources);
    if (!access->sources && texts->count) {
        out_of_memory(b);
        return;
    }
    access->source_count = texts->count;
    for (size_t i = 0; i < texts->count; i++)
        if (!token_source_parse(texts->at[i], &access->sources[i]))
            report_add(b->report, texts->marks[i],
                       "write header.NAME, cookie.NAME, query.NAME or subprotocol",
                       "access.jwt.from: no token can be at \"%s\"",
                       settings_shown(b->whole, &texts->at[i]));
}

static void build_jwt(const struct build *b)
{
    const struct access_settings *settings = b->settings;
    struct access *access = b->made;
    char words[256] = "";
    int error = jwt_keys_new(bytes_of(settings->jwt_keys), &access->keys, words);

    if (error == -EINVAL)
        report_add(b->report, settings->jwt_keys_mark,
                   "a JWKS, a PEM public key, or a secret of 32 bytes or more: { file: PATH }",
                   "access.jwt.keys: %s", words);
    else if (error)
        out_of_memory(b);
    build_sources(b);
    access->has_jwt = true;
    access->rules = (struct jwt_rules){
        .keys = access->keys,
        .issuer = settings->jwt_issuer,
        .audiences = settings->jwt_audience.at,
        .audience_count = settings->jwt_audience.count,
        .leeway_sec = settings->jwt_leeway / USEC_PER_SEC,
    };
}

/* What the server's request may not get from elsewhere: its framing, its host, its handshake. */
static bool may_be_copied(struct bytes name)
{
    static const char *const kept[] = {"host",    "connection", "content-length",
                                       "upgrade", "te",         "transfer-encoding",
                                       "trailer", "expect",     "max-forwards"};
    static const char punctuation[] = "!#$%&'*+-.^_`|~"; /* RFC 9110 section 5.6.2 */
    struct bytes websocket = bytes_of("sec-websocket-");

    for (size_t i = 0; i < ARRAY_LEN(kept); i++)
        if (bytes_equal_nocase(name, bytes_of(kept[i])))
            return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.at[i], letter = c | 0x20;
        bool is_alnum = (c >= '0' && c <= '9') || (letter >= 'a' && letter <= 'z');
        if (!is_alnum && !(c && strchr(punctuation, c)))
            return false;
    }
    return name.len > 0 && !bytes_equal_nocase(bytes_slice(name, 0, websocket.len), websocket);
}

static void check_copy(const struct build *b)
{
    const struct texts *texts = &b->settings->auth_copy;

    for (size_t i = 0; i < texts->count; i++)
        if (!may_be_copied(bytes_of(texts->at[i])))
            report_add(b->report, texts->marks[i], "write the names of fields, such as X-User",
                       "access.auth.copy: \"%s\" cannot be copied",
                       settings_shown(b->whole, &texts->at[i]));
    if (texts->count > ACCESS_COPY_MAX)
        report_add(b->report, texts->marks[0], "16 is the most",
                   "access.auth.copy: %zu are too many", texts->count);
}

static bool parse_auth_url(struct access *access, const char *url)
{
    struct url_target parts;
    struct bytes name;
    uint16_t port;
    char text[HOST_MAX_BYTES + 8];

    if (!url_target_parse(bytes_of(url), &parts) ||
        !bytes_equal_nocase(parts.scheme, bytes_of("http")) ||
        !url_host_parse(parts.authority, &name, &port) || parts.authority.len >= HOST_MAX_BYTES)
        return false;
    snprintf(text, sizeof text, "%.*s:%u", (int)name.len, (const char *)name.at,
             port ? port : HTTP_PORT);
    memcpy(access->host, parts.authority.at, parts.authority.len);
    return address_parse(text, &access->auth.address) == 0;
}

static void build_auth(const struct build *b)
{
    const struct access_settings *settings = b->settings;
    struct access *access = b->made;
    const char *path = strstr(settings->auth_url, "://");

    access->has_auth = true;
    access->auth.copy = settings->auth_copy.at;
    access->auth.copy_count = settings->auth_copy.count;
    access->auth.timeout_usec = settings->auth_timeout;
    access->auth.fails_open = settings->auth_fail == AUTH_FAIL_OPEN;
    check_copy(b);
    if (!parse_auth_url(access, settings->auth_url)) {
        report_add(b->report, settings->auth_url_mark,
                   "write http:// with a numeric address, such as http://127.0.0.1:7100/check",
                   "access.auth.url: \"%s\" will not do",
                   settings_shown(b->whole, &settings->auth_url));
        return;
    }
    path = path ? strpbrk(path + 3, "/?") : NULL;
    size_t len = path ? strlen(path) : 0;
    access->target = malloc(len + 2);
    if (!access->target) {
        out_of_memory(b);
        return;
    }
    snprintf(access->target, len + 2, "%s%s", path && *path == '/' ? "" : "/", path ? path : "");
    access->auth.host = access->host;
    access->auth.target = access->target;
}

struct access *access_new(const struct settings *whole, const struct access_settings *settings,
                          struct report *report)
{
    struct build b = {whole, settings, report, NULL};
    size_t errors = report_count(report);
    bool has_networks = settings->allow.count || settings->deny.count;

    if (!has_networks && !settings->origins.count && !settings->has_jwt && !settings->has_auth)
        return NULL;
    struct access *access = b.made = calloc(1, sizeof *access);
    if (!access) {
        out_of_memory(&b);
        return NULL;
    }
    /* wrong networks were found when the settings were read */
    if (cidr_set_init(&access->allow, settings->allow.at, settings->allow.count, NULL) ||
        cidr_set_init(&access->deny, settings->deny.at, settings->deny.count, NULL))
        out_of_memory(&b);
    build_origins(&b);
    if (settings->has_jwt)
        build_jwt(&b);
    if (settings->has_auth)
        build_auth(&b);
    return report_count(report) == errors ? access : access_free(access);
}

struct access *access_free(struct access *access)
{
    if (!access)
        return NULL;
    cidr_set_done(&access->allow);
    cidr_set_done(&access->deny);
    free(access->origins);
    free(access->sources);
    free(access->target);
    jwt_keys_free(access->keys);
    free(access);
    return NULL;
}

const struct access_auth *access_auth(const struct access *access)
{
    return access && access->has_auth ? &access->auth : NULL;
}

/* --- judging -------------------------------------------------------------------------------------
 */

bool access_welcomes(const struct access *access, const struct ip *client)
{
    if (!access)
        return true;
    if (cidr_set_has(&access->deny, client))
        return false;
    return !access->allow.count || cidr_set_has(&access->allow, client);
}

bool access_wants_head(const struct access *access)
{
    return access && (access->origin_count || access->has_jwt || access->has_auth);
}

static bool is_origin_welcome(const struct access *access, const struct http1_head *request)
{
    struct bytes said = http1_find(request, "origin"), host = http1_find(request, "host");
    struct origin origin;

    if (!access->origin_count || !said.at)
        return true;
    if (http1_count(request, "origin") > 1 || !origin_parse(said, &origin))
        return false;
    for (size_t i = 0; i < access->origin_count; i++)
        if (origin_matches(&access->origins[i], &origin, host))
            return true;
    return false;
}

/* The first place that has a token decides, also when it is a bad one. */
static enum reason judge_token(const struct access *access, const struct access_ask *ask,
                               struct claims **ret_claims)
{
    enum reason why = REASON_TOKEN_MISSING;
    struct bytes token;

    for (size_t i = 0; i < access->source_count && why == REASON_TOKEN_MISSING; i++)
        why = token_find(&access->sources[i], ask->request, &token);
    if (why != REASON_DONE)
        return why;
    return jwt_check(&access->rules, token, ask->now_sec, ret_claims);
}

enum reason access_judge(const struct access *access, const struct access_ask *ask,
                         struct claims **ret_claims)
{
    *ret_claims = NULL;
    if (!access_welcomes(access, &ask->client))
        return REASON_ADDRESS_DENIED;
    if (!is_origin_welcome(access, ask->request))
        return REASON_ORIGIN_DENIED;
    return access->has_jwt ? judge_token(access, ask, ret_claims) : REASON_DONE;
}

const char *access_lines(enum reason reason, uint64_t wait_usec, char text[ACCESS_LINES_BYTES])
{
    const struct reason_row *row = reason_row(reason);
    uint64_t sec = wait_usec / USEC_PER_SEC + (wait_usec % USEC_PER_SEC != 0);

    text[0] = '\0';
    if (reason == REASON_TOKEN_MISSING)
        snprintf(text, ACCESS_LINES_BYTES, "WWW-Authenticate: Bearer realm=\"turnout\"\r\n");
    else if (row->http_status == 401)
        snprintf(text, ACCESS_LINES_BYTES,
                 "WWW-Authenticate: Bearer realm=\"turnout\", error=\"invalid_token\", "
                 "error_description=\"%s\"\r\n",
                 row->words);
    else if (row->http_status == 429)
        snprintf(text, ACCESS_LINES_BYTES, "Retry-After: %llu\r\n",
                 (unsigned long long)(sec ? sec : 1));
    return text;
}
