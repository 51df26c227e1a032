/*
 * list.c - see list.h: origins and names of header fields or methods. What they may be is what can be sent in a header.
 */
#include "config/list.h"

#include "base/alloc.h"
#include "config/config.h"
#include "config/errors.h"
#include "config/value.h"

#include <stdlib.h>

enum { MOST_ORIGINS = 256, ORIGIN_MAX_LEN = 255, MOST_TOKENS = 24, TOKEN_MAX_LEN = 64 };

static const char form[] = "expected scheme://host or scheme://host:port in lower case, without a path";

/* ---- what an item may be ---- */

static bool all_of(aff_bytes text, const char *chars)
{
    const char *c = text.data;
    for (size_t i = 0; i < text.len; i++)
        if (!c[i] || !strchr(chars, c[i]))
            return false;
    return text.len > 0;
}

static aff_bytes behind(aff_bytes text, size_t taken)
{
    return aff_bytes_of((const char *)text.data + taken, text.len - taken);
}

static bool is_default_port(aff_bytes scheme, aff_bytes port)
{
    return (aff_bytes_equal(scheme, aff_str("https")) && aff_bytes_equal(port, aff_str("443"))) ||
           (aff_bytes_equal(scheme, aff_str("http")) && aff_bytes_equal(port, aff_str("80")));
}

/* "host", "host:port", "[::1]:port" */
static const char *wrong_with_host(aff_bytes scheme, aff_bytes host)
{
    const char *start = host.data, *colon = host.len ? memrchr(start, ':', host.len) : NULL;
    aff_bytes port = colon ? behind(host, (size_t)(colon - start) + 1) : aff_str("");
    if (colon && all_of(port, "0123456789")) {
        if (is_default_port(scheme, port))
            return "browsers leave out the port that the scheme has anyway";
        host.len = (size_t)(colon - start);
    }
    if (host.len > 2 && start[0] == '[' && start[host.len - 1] == ']')
        return all_of(aff_bytes_of(start + 1, host.len - 2), "0123456789abcdef:.") ? NULL : form;
    return all_of(host, "abcdefghijklmnopqrstuvwxyz0123456789.-_") ? NULL : form;
}

static const char *wrong_with_origin(aff_bytes text)
{
    const char *start = text.data, *mark = text.len > 3 ? memmem(start, text.len, "://", 3) : NULL;
    if (aff_bytes_equal(text, aff_str("*")))
        return NULL;
    if (text.len > ORIGIN_MAX_LEN)
        return "it has more than 255 bytes";
    if (aff_bytes_equal(text, aff_str("null")))
        return "any page can make itself be called that, so it names nobody";
    aff_bytes scheme = mark ? aff_bytes_of(start, (size_t)(mark - start)) : aff_str("");
    if (!all_of(scheme, "abcdefghijklmnopqrstuvwxyz0123456789+.-"))
        return form;
    return wrong_with_host(scheme, behind(text, scheme.len + 3));
}

static const char *wrong_with_token(aff_bytes text)
{
    static const char chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'+-.^_`|~";
    return text.len <= TOKEN_MAX_LEN && all_of(text, chars) ? NULL
                                                            : "expected a name of up to 64 letters, digits and -";
}

/* ---- lists ---- */

int aff_list_add(const struct aff_setting *setting, aff_bytes text, void *member, aff_error *err)
{
    bool origins = setting->type == AFF_TYPE_ORIGINS;
    size_t most = origins ? MOST_ORIGINS : MOST_TOKENS;
    struct aff_config_list list;
    memcpy(&list, member, sizeof list);
    const char *wrong = origins ? wrong_with_origin(text) : wrong_with_token(text);
    if (!text.len)
        return aff_fail_with(err, AFF_ECONFIG, "an entry is empty");
    if (wrong)
        return aff_fail_with(err, AFF_ECONFIG, "%s: %s", aff_show(text).text, wrong);
    if (list.count == most)
        return aff_fail_with(err, AFF_ECONFIG, "has more than the %zu entries that are possible", most);
    list.items = aff_xrealloc(list.items, list.count + 1, sizeof *list.items);
    list.items[list.count++] = aff_text_copy(text);
    memcpy(member, &list, sizeof list);
    return 0;
}

static aff_bytes trimmed(aff_bytes text)
{
    while (text.len && *(const char *)text.data == ' ')
        text = behind(text, 1);
    while (text.len && ((const char *)text.data)[text.len - 1] == ' ')
        text.len--;
    return text;
}

int aff_list_read(const struct aff_setting *setting, aff_bytes text, void *member, aff_error *err)
{
    struct aff_config_list list = { NULL, 0 };
    int status = 0;
    for (bool more = true; more && status == 0;) {
        const char *start = text.data, *comma = memchr(start, ',', text.len);
        size_t len = comma ? (size_t)(comma - start) : text.len;
        status = aff_list_add(setting, trimmed(aff_bytes_of(start, len)), &list, err);
        more = comma != NULL;
        text = behind(text, len + more);
    }
    aff_list_free(status ? (void *)&list : member);
    if (status == 0)
        memcpy(member, &list, sizeof list);
    return status;
}

void aff_list_print(const struct aff_setting *setting, const void *member, FILE *to)
{
    struct aff_config_list list;
    (void)setting;
    memcpy(&list, member, sizeof list);
    fputc('[', to);
    for (size_t i = 0; i < list.count; i++) {
        fputs(i ? ", " : "", to);
        aff_text_print(list.items[i], to);
    }
    fputc(']', to);
}

void aff_list_free(void *member)
{
    struct aff_config_list list;
    memcpy(&list, member, sizeof list);
    for (size_t i = 0; i < list.count; i++)
        free(list.items[i]);
    free(list.items);
    memset(member, 0, sizeof list);
}
