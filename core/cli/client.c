/*
 * client.c - see client.h.
 */
#include "cli/client.h"

#include "base/alloc.h"
#include "base/buf.h"

#include <curl/curl.h>
#include <strings.h>

enum { CONNECT_S = 10, ANSWER_S = 30, BODY_MAX = 64 << 20 };

struct aff_client {
    char *base; /* "http://host:port" */
    CURL *curl;
    char error[CURL_ERROR_SIZE];
    struct aff_buf body;
};

/* ---- the address ---- */

static bool has_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    CURLUcode code = curl_url_get(url, part, &text, 0);
    curl_free(text);
    return code == CURLUE_OK;
}

static bool is_part(CURLU *url, CURLUPart part, const char *wanted)
{
    char *text = NULL;
    bool same = curl_url_get(url, part, &text, 0) == CURLUE_OK && strcasecmp(text, wanted) == 0;
    curl_free(text);
    return same;
}

static bool is_address(const char *text)
{
    static const CURLUPart superfluous[] = { CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT };
    CURLU *url = curl_url();
    bool good = url && curl_url_set(url, CURLUPART_URL, text, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
                (is_part(url, CURLUPART_SCHEME, "http") || is_part(url, CURLUPART_SCHEME, "https")) &&
                is_part(url, CURLUPART_PATH, "/");
    for (size_t i = 0; good && i < sizeof superfluous / sizeof *superfluous; i++)
        good = !has_part(url, superfluous[i]);
    curl_url_cleanup(url);
    return good;
}

/* ---- life ---- */

static size_t take(char *data, size_t size, size_t count, void *self)
{
    struct aff_client *client = self;
    size_t len = size * count;
    return client->body.len + len <= BODY_MAX && aff_buf_add(&client->body, data, len) ? len : 0;
}

static bool set_up(struct aff_client *c)
{
    return curl_easy_setopt(c->curl, CURLOPT_ERRORBUFFER, c->error) == CURLE_OK &&
           curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, take) == CURLE_OK &&
           curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, c) == CURLE_OK &&
           curl_easy_setopt(c->curl, CURLOPT_NOPROXY, "*") == CURLE_OK && /* a node is reached as it is named */
           curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S) == CURLE_OK &&
           curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, (long)ANSWER_S) == CURLE_OK;
}

int aff_client_new(const char *url, struct aff_client **ret_client, aff_error *err)
{
    if (!is_address(url))
        return aff_fail_with(err, AFF_EINVAL, "%.200s is not the address of a node: expected http://HOST:PORT", url);
    AFF_CLEANUP(aff_client_freep) struct aff_client *c = aff_xcalloc(1, sizeof *c);
    size_t len = strlen(url);
    c->base = aff_xstrdup(url);
    c->base[url[len - 1] == '/' ? len - 1 : len] = '\0';
    aff_buf_init(&c->body);
    c->curl = curl_easy_init();
    if (!c->curl || !set_up(c))
        return aff_fail_with(err, AFF_ENOMEM, "libcurl does not start");
    *ret_client = c;
    c = NULL;
    return 0;
}

struct aff_client *aff_client_free(struct aff_client *c)
{
    if (!c)
        return NULL;
    curl_easy_cleanup(c->curl);
    aff_buf_fini(&c->body);
    free(c->base);
    free(c);
    return NULL;
}

/* ---- asking ---- */

static int perform(struct aff_client *c, const char *method, const char *target, aff_error *err)
{
    size_t size = strlen(c->base) + strlen(target) + 1;
    AFF_CLEANUP(aff_freep) char *url = aff_xmalloc(size);
    (void)snprintf(url, size, "%s%s", c->base, target);
    bool posts = strcmp(method, "POST") == 0;
    aff_buf_clear(&c->body);
    c->error[0] = '\0';
    CURLcode code = curl_easy_setopt(c->curl, CURLOPT_URL, url);
    if (code == CURLE_OK)
        code = curl_easy_setopt(c->curl, posts ? CURLOPT_POST : CURLOPT_HTTPGET, 1L);
    if (code == CURLE_OK && posts)
        code = curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, "");
    if (code == CURLE_OK)
        code = curl_easy_perform(c->curl);
    if (code != CURLE_OK)
        return aff_fail_with(err, AFF_EIO, "no answer from %.200s: %.250s", c->base,
                             c->error[0] ? c->error : curl_easy_strerror(code));
    return 0;
}

/* What a problem+json says for people. */
static int refused(const struct aff_client *c, long status, json_t *problem, aff_error *err)
{
    const char *title = json_string_value(json_object_get(problem, "title"));
    const char *detail = json_string_value(json_object_get(problem, "detail"));
    if (!title)
        return aff_fail_with(err, AFF_EIO, "%.200s answered with status %ld and is no node of this release", c->base,
                             status);
    return aff_fail_with(err, AFF_EREFUSED, "%.200s says no (%ld): %.250s", c->base, status, detail ? detail : title);
}

int aff_client_ask(struct aff_client *c, const char *method, const char *target, json_t **ret_json, aff_error *err)
{
    long status = 0;
    int code = perform(c, method, target, err);
    if (code)
        return code;
    (void)curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    aff_bytes body = aff_buf_view(&c->body);
    json_t *json = json_loadb(body.data, body.len, JSON_REJECT_DUPLICATES, NULL);
    if (status >= 200 && status < 300 && json_is_object(json)) {
        *ret_json = json;
        return 0;
    }
    code = refused(c, status, json, err);
    json_decref(json);
    return code;
}
