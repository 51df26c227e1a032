/*
 * value.c - see value.h. One function a type, and a table of them.
 *
 * Members are read and written by memcpy: the table knows their types (settings.c proves them), the compiler does not.
 */
#include "config/value.h"

#include "base/alloc.h"
#include "config/config.h"
#include "config/errors.h"
#include "config/list.h"
#include "config/utf8.h"

#include <arpa/inet.h>
#include <assert.h>
#include <limits.h>
#include <stdlib.h>

/* ---- text ---- */

bool aff_is_word(aff_bytes text)
{
    const char *c = text.data;
    if (text.len < 1 || text.len > 40 || c[0] < 'a' || c[0] > 'z')
        return false;
    for (size_t i = 1; i < text.len; i++)
        if (!(c[i] >= 'a' && c[i] <= 'z') && !(c[i] >= '0' && c[i] <= '9') && c[i] != '_')
            return false;
    return true;
}

char *aff_text_copy(aff_bytes text)
{
    char *to = aff_xmalloc(text.len + 1);
    memcpy(to, text.data, text.len);
    to[text.len] = '\0';
    return to;
}

static void replace_text(void *member, aff_bytes text)
{
    char *old, *new = aff_text_copy(text);
    memcpy(&old, member, sizeof old);
    free(old);
    memcpy(member, &new, sizeof new);
}

bool aff_is_label(aff_bytes text)
{
    const char *c = text.data;
    if (text.len < 1 || text.len > 40 || c[0] < 'a' || c[0] > 'z')
        return false;
    for (size_t i = 1; i < text.len; i++)
        if (!(c[i] >= 'a' && c[i] <= 'z') && !(c[i] >= '0' && c[i] <= '9') && c[i] != '_' && c[i] != '-')
            return false;
    return true;
}

static int read_label(const struct aff_setting *setting, aff_bytes text, void *member, aff_error *err)
{
    (void)setting;
    if (!aff_is_label(text))
        return aff_fail_with(err, AFF_ECONFIG,
                             "%s is not a name: expected a lower-case letter, then up to 39 of a-z, 0-9, _ and -",
                             aff_show(text).text);
    replace_text(member, text);
    return 0;
}

static int read_word(const struct aff_setting *setting, aff_bytes text, void *member, aff_error *err)
{
    (void)setting;
    if (!aff_is_word(text))
        return aff_fail_with(err, AFF_ECONFIG,
                             "%s is not a name: expected a lower-case letter, then up to 39 of a-z, 0-9 and _",
                             aff_show(text).text);
    replace_text(member, text);
    return 0;
}

static bool is_printable(aff_bytes text)
{
    const unsigned char *bytes = text.data;
    for (size_t at = 0, len; at < text.len; at += len) {
        len = aff_utf8_printable(bytes + at, text.len - at);
        if (len == 0)
            return false;
    }
    return true;
}

static int read_path(const struct aff_setting *setting, aff_bytes text, void *member, aff_error *err)
{
    (void)setting;
    if (text.len == 0)
        return aff_fail_with(err, AFF_ECONFIG, "is empty: expected the path of a file or folder");
    if (text.len >= PATH_MAX)
        return aff_fail_with(err, AFF_ECONFIG, "is longer than a path can be (%d bytes)", PATH_MAX - 1);
    if (!is_printable(text))
        return aff_fail_with(err, AFF_ECONFIG, "%s is not a path in UTF-8 without control characters",
                             aff_show(text).text);
    replace_text(member, text);
    return 0;
}

static int read_text(const struct aff_setting *setting, aff_bytes text, void *member, aff_error *err)
{
    enum { TEXT_MAX_LEN = 1000 };
    const char *shown = setting->secret ? "the text" : aff_show(text).text;
    if (text.len == 0 || text.len > TEXT_MAX_LEN)
        return aff_fail_with(err, AFF_ECONFIG, "has %zu bytes: expected 1 to %d", text.len, TEXT_MAX_LEN);
    if (!is_printable(text))
        return aff_fail_with(err, AFF_ECONFIG, "%s is not UTF-8 without control characters", shown);
    replace_text(member, text);
    return 0;
}

void aff_text_print(const char *text, FILE *to)
{
    fputc('"', to);
    for (; *text; text++)
        if (*text == '\n' || *text == '\t')
            fputs(*text == '\n' ? "\\n" : "\\t", to);
        else if (*text == '"' || *text == '\\')
            fprintf(to, "\\%c", *text);
        else
            fputc(*text, to);
    fputc('"', to);
}

static void print_quoted(const struct aff_setting *setting, const void *member, FILE *to)
{
    const char *text;
    memcpy(&text, member, sizeof text);
    aff_text_print(setting->secret ? setting->secret : text, to);
}

static void free_text(void *member)
{
    char *text;
    memcpy(&text, member, sizeof text);
    free(text);
    memset(member, 0, sizeof text);
}

/* ---- addresses ---- */

/* Host and port of "host:port" or "[address]:port"; false when it is not of that form. */
static bool split_address(aff_bytes text, aff_bytes *ret_host, aff_bytes *ret_port, bool *ret_brackets)
{
    const char *all = text.data;
    const char *colon = memrchr(all, ':', text.len);
    if (!colon)
        return false;
    size_t host = (size_t)(colon - all);
    *ret_port = aff_bytes_of(colon + 1, text.len - host - 1);
    *ret_brackets = host >= 2 && all[0] == '[' && all[host - 1] == ']';
    *ret_host = *ret_brackets ? aff_bytes_of(all + 1, host - 2) : aff_bytes_of(all, host);
    return ret_host->len > 0;
}

/* A name of letters, digits, dots and dashes; one of digits and dots alone must be an IPv4 address. */
static bool is_host_name(const char *host)
{
    static const char numeric[] = "0123456789.";
    static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    unsigned char ignored[4];
    if (host[strspn(host, numeric)] == '\0')
        return inet_pton(AF_INET, host, ignored) == 1;
    return host[strspn(host, name)] == '\0';
}

static bool is_host(aff_bytes host, bool brackets)
{
    char text[256];
    unsigned char ignored[16];
    if (host.len >= sizeof text || memchr(host.data, 0, host.len))
        return false;
    memcpy(text, host.data, host.len);
    text[host.len] = '\0';
    return brackets ? inet_pton(AF_INET6, text, ignored) == 1 : is_host_name(text);
}

static int read_address(const struct aff_setting *setting, aff_bytes text, void *member, aff_error *err)
{
    (void)setting;
    aff_bytes host, port;
    bool brackets;
    uint64_t number;
    if (!split_address(text, &host, &port, &brackets) || !is_host(host, brackets) ||
        aff_number_read(AFF_TYPE_INT, port, &number, NULL) != 0)
        return aff_fail_with(err, AFF_ECONFIG,
                             "%s is not an address: expected host:port, such as 127.0.0.1:8080 or [::1]:8080",
                             aff_show(text).text);
    if (number > UINT16_MAX)
        return aff_fail_with(err, AFF_ECONFIG, "%s: a port is at most 65535", aff_show(text).text);
    struct aff_config_address address;
    memcpy(&address, member, sizeof address);
    free(address.text);
    free(address.host);
    address = (struct aff_config_address){ .text = aff_text_copy(text),
                                           .host = aff_text_copy(host),
                                           .port = (uint16_t)number };
    memcpy(member, &address, sizeof address);
    return 0;
}

/* ---- several addresses, and perhaps a path ---- */

static bool is_server(aff_bytes text)
{
    aff_bytes host, port;
    bool brackets;
    uint64_t number;
    return split_address(text, &host, &port, &brackets) && is_host(host, brackets) &&
           aff_number_read(AFF_TYPE_INT, port, &number, NULL) == 0 && number > 0 && number <= UINT16_MAX;
}

static int read_servers(const struct aff_setting *setting, aff_bytes text, void *member, aff_error *err)
{
    (void)setting;
    const char *start = text.data, *path = text.len ? memchr(start, '/', text.len) : NULL;
    aff_bytes rest = aff_bytes_of(start, path ? (size_t)(path - start) : text.len);
    bool right = is_printable(text) && (!path || start[text.len - 1] != '/');
    for (bool more = true; right && more;) {
        const char *comma = rest.len ? memchr(rest.data, ',', rest.len) : NULL;
        size_t len = comma ? (size_t)(comma - (const char *)rest.data) : rest.len;
        right = is_server(aff_bytes_of(rest.data, len));
        more = comma != NULL;
        rest = aff_bytes_of((const char *)rest.data + len + more, rest.len - len - more);
    }
    if (!right)
        return aff_fail_with(err, AFF_ECONFIG,
                             "%s are not servers: expected host:port,host:port without spaces, and perhaps a "
                             "/path behind the last",
                             aff_show(text).text);
    replace_text(member, text);
    return 0;
}

static void print_address(const struct aff_setting *setting, const void *member, FILE *to)
{
    struct aff_config_address address;
    memcpy(&address, member, sizeof address);
    print_quoted(setting, &address.text, to);
}

static void free_address(void *member)
{
    struct aff_config_address address;
    memcpy(&address, member, sizeof address);
    free(address.text);
    free(address.host);
    memset(member, 0, sizeof address);
}

/* ---- words of a list ---- */

int aff_word_index(const char *words, aff_bytes word)
{
    for (int index = 0; words && *words; index++) {
        size_t len = strcspn(words, "|");
        if (aff_bytes_equal(aff_bytes_of(words, len), word))
            return index;
        words += len + (words[len] == '|');
    }
    return -1;
}

static int read_enum(const struct aff_setting *setting, aff_bytes text, void *member, aff_error *err)
{
    int index = aff_word_index(setting->words, text);
    if (index < 0)
        return aff_fail_with(err, AFF_ECONFIG, "%s is not one of %s", aff_show(text).text, setting->words);
    unsigned value = (unsigned)index;
    memcpy(member, &value, sizeof value);
    return 0;
}

static void print_enum(const struct aff_setting *setting, const void *member, FILE *to)
{
    const char *word = setting->words;
    unsigned index;
    memcpy(&index, member, sizeof index);
    while (index-- > 0)
        word += strcspn(word, "|") + 1;
    fprintf(to, "%.*s", (int)strcspn(word, "|"), word);
}

static int read_bool(const struct aff_setting *setting, aff_bytes text, void *member, aff_error *err)
{
    (void)setting;
    int index = aff_word_index("false|true", text);
    if (index < 0)
        return aff_fail_with(err, AFF_ECONFIG, "%s is neither true nor false", aff_show(text).text);
    bool value = index;
    memcpy(member, &value, sizeof value);
    return 0;
}

static void print_bool(const struct aff_setting *setting, const void *member, FILE *to)
{
    (void)setting;
    bool value;
    memcpy(&value, member, sizeof value);
    fputs(value ? "true" : "false", to);
}

/* ---- numbers ---- */

/* A bound of the table: it is well-formed, a test sees to it. */
static uint64_t bound(const struct aff_setting *setting, const char *text)
{
    uint64_t number = 0;
    int status = aff_number_read(setting->type, aff_str(text), &number, NULL);
    assert(status == 0);
    (void)status;
    return number;
}

static int read_number(const struct aff_setting *setting, aff_bytes text, void *member, aff_error *err)
{
    uint64_t number;
    int status = aff_number_read(setting->type, text, &number, err);
    if (status)
        return status;
    if (number < bound(setting, setting->min))
        return aff_fail_with(err, AFF_ECONFIG, "%s is below the minimum %s", aff_show(text).text, setting->min);
    if (number > bound(setting, setting->max))
        return aff_fail_with(err, AFF_ECONFIG, "%s is above the maximum %s", aff_show(text).text, setting->max);
    if (setting->type == AFF_TYPE_INT) {
        unsigned small = (unsigned)number;
        memcpy(member, &small, sizeof small);
    } else {
        memcpy(member, &number, sizeof number); /* int64_t of a duration: at most INT64_MAX */
    }
    return 0;
}

uint64_t aff_number_of(const struct aff_setting *setting, const void *member)
{
    unsigned small;
    uint64_t number;
    if (setting->type == AFF_TYPE_INT) {
        memcpy(&small, member, sizeof small);
        return small;
    }
    memcpy(&number, member, sizeof number);
    return number;
}

static void print_number(const struct aff_setting *setting, const void *member, FILE *to)
{
    fputs(aff_number_text(setting->type, aff_number_of(setting, member)).text, to);
}

/* ---- routes ---- */

static int read_route(const struct aff_setting *setting, aff_bytes text, void *member, aff_error *err)
{
    (void)setting;
    struct aff_key_route route;
    int status = aff_key_route_read(text, &route, err);
    if (status == 0)
        memcpy(member, &route, sizeof route);
    return status;
}

static void print_route(const struct aff_setting *setting, const void *member, FILE *to)
{
    (void)setting;
    struct aff_key_route route;
    char text[AFF_KEY_ROUTE_TEXT_MAX];
    memcpy(&route, member, sizeof route);
    aff_text_print(aff_key_route_print(&route, text), to);
}

/* ---- properties: read one by one (properties.c), printed as lines of their own ---- */

static int read_properties(const struct aff_setting *setting, aff_bytes text, void *member, aff_error *err)
{
    (void)text;
    (void)member;
    return aff_fail_with(err, AFF_ECONFIG, "%s is a map", setting->path);
}

static void print_properties(const struct aff_setting *setting, const void *member, FILE *to)
{
    bool top = setting->group == AFF_GROUP_ROOT; /* what belongs to others, and may be secret */
    struct aff_config_properties all;
    memcpy(&all, member, sizeof all);
    if (!setting->beside)
        fputs("\n", to);
    for (size_t i = 0; i < all.count; i++) {
        const struct aff_config_property *property = &all.items[i];
        fprintf(to, "%s%s: ", setting->beside ? "  " : top ? "    " : "      ", property->name);
        aff_text_print(top && aff_property_is_secret(property->name) ? "***" : property->value, to);
        fputc('\n', to);
    }
}

static void free_properties(void *member)
{
    struct aff_config_properties all;
    memcpy(&all, member, sizeof all);
    for (size_t i = 0; i < all.count; i++) {
        free(all.items[i].name);
        free(all.items[i].value);
    }
    free(all.items);
    memset(member, 0, sizeof all);
}

/* ---- types ---- */

struct type {
    int (*read)(const struct aff_setting *setting, aff_bytes text, void *member, aff_error *err);
    void (*print)(const struct aff_setting *setting, const void *member, FILE *to);
    void (*free)(void *member); /* NULL: owns nothing */
};

static const struct type types[] = {
    [AFF_TYPE_WORD] = { read_word, print_quoted, free_text },
    [AFF_TYPE_LABEL] = { read_label, print_quoted, free_text },
    [AFF_TYPE_TEXT] = { read_text, print_quoted, free_text },
    [AFF_TYPE_SERVERS] = { read_servers, print_quoted, free_text },
    [AFF_TYPE_PATH] = { read_path, print_quoted, free_text },
    [AFF_TYPE_ADDRESS] = { read_address, print_address, free_address },
    [AFF_TYPE_ENUM] = { read_enum, print_enum, NULL },
    [AFF_TYPE_BOOL] = { read_bool, print_bool, NULL },
    [AFF_TYPE_INT] = { read_number, print_number, NULL },
    [AFF_TYPE_DURATION] = { read_number, print_number, NULL },
    [AFF_TYPE_SIZE] = { read_number, print_number, NULL },
    [AFF_TYPE_ORIGINS] = { aff_list_read, aff_list_print, aff_list_free },
    [AFF_TYPE_TOKENS] = { aff_list_read, aff_list_print, aff_list_free },
    [AFF_TYPE_ROUTE] = { read_route, print_route, NULL },
    [AFF_TYPE_PROPERTIES] = { read_properties, print_properties, free_properties },
    [AFF_TYPE_PLACES] = { read_properties, print_properties, free_properties },
};

int aff_value_read(const struct aff_setting *setting, aff_bytes text, void *member, aff_error *err)
{
    return types[setting->type].read(setting, text, member, err);
}

void aff_value_print(const struct aff_setting *setting, const void *member, FILE *to)
{
    types[setting->type].print(setting, member, to);
}

void aff_value_free(const struct aff_setting *setting, void *member)
{
    if (types[setting->type].free)
        types[setting->type].free(member);
}

bool aff_value_is_given(const struct aff_setting *setting, const void *member)
{
    struct aff_config_address address;
    const char *text;
    switch (setting->type) {
    case AFF_TYPE_ADDRESS:
        memcpy(&address, member, sizeof address);
        return address.text != NULL;
    case AFF_TYPE_WORD:
    case AFF_TYPE_LABEL:
    case AFF_TYPE_TEXT:
    case AFF_TYPE_PATH:
    case AFF_TYPE_SERVERS:
        memcpy(&text, member, sizeof text);
        return text != NULL;
    default:
        return aff_number_of(setting, member) != 0;
    }
}
