/*
 * check.c - rules that concern more than one setting. Each complaint stands at a value that the document gave: the
 * defaults are in order among themselves (a test sees to it).
 */
#include "config/fill.h"
#include "config/value.h"

struct aff_mark aff_fill_place(const struct aff_fill *fill, const void *member, const void *other)
{
    const struct aff_given *given = aff_fill_given(fill, member);
    if (!given)
        given = aff_fill_given(fill, other);
    return given ? given->mark : (struct aff_mark){ 0 };
}

static void check_production(const struct aff_fill *fill)
{
    if (fill->config->mode == AFF_MODE_DEVELOPMENT)
        return;
    if (fill->config->changelog == AFF_CHANGELOG_MEMORY)
        aff_complain(
            fill->source, aff_fill_place(fill, &fill->config->changelog, &fill->config->mode),
            "changelog: memory loses everything when the process ends: use embedded, or set mode: development");
    for (size_t i = 0; i < fill->given_count; i++) {
        const struct aff_given *given = &fill->given[i];
        uint64_t least, number;
        if (!given->setting->production_min ||
            aff_number_read(given->setting->type, aff_str(given->setting->production_min), &least, NULL) != 0)
            continue;
        number = aff_number_of(given->setting, given->member);
        if (number < least)
            aff_complain(fill->source, given->mark,
                         "%s: %s is below the minimum %s for production (mode: development allows it)", given->path,
                         aff_number_text(given->setting->type, number).text, given->setting->production_min);
    }
}

static void check_kafka(const struct aff_fill *fill)
{
    const struct aff_config *config = fill->config;
    const struct aff_config_properties *topic = &config->kafka.topic;
    if (config->changelog == AFF_CHANGELOG_KAFKA && !aff_property(&config->kafka.properties, "bootstrap.servers") &&
        !aff_property(&config->kafka.properties, "metadata.broker.list"))
        aff_complain(fill->source, aff_fill_place(fill, &config->changelog, &config->changelog),
                     "changelog: kafka needs kafka.bootstrap.servers: host:port of some brokers, with commas between "
                     "them");
    for (size_t i = 0; i < topic->count && config->mode != AFF_MODE_DEVELOPMENT; i++)
        aff_complain(fill->source, topic->items[i].mark,
                     "kafka.topic.%.40s: in production topics are as Affinity makes them (mode: development allows "
                     "other settings)",
                     topic->items[i].name);
}

static struct aff_number_text size_text(uint64_t bytes)
{
    return aff_number_text(AFF_TYPE_SIZE, bytes);
}

static void check_limits(const struct aff_fill *fill)
{
    const struct aff_config_limits *limits = &fill->config->limits;
    if (limits->target > limits->head)
        aff_complain(fill->source, aff_fill_place(fill, &limits->target, &limits->head),
                     "limits.target: %s is above limits.head, which is %s", size_text(limits->target).text,
                     size_text(limits->head).text);
    if (limits->bodies < limits->body)
        aff_complain(fill->source, aff_fill_place(fill, &limits->bodies, &limits->body),
                     "limits.bodies: %s is below limits.body, which is %s", size_text(limits->bodies).text,
                     size_text(limits->body).text);
}

static bool same_address(const struct aff_config_address *a, const struct aff_config_address *b)
{
    return a->host && b->host && a->port != 0 && a->port == b->port && strcmp(a->host, b->host) == 0;
}

static void check_listeners(const struct aff_fill *fill)
{
    const struct aff_config *config = fill->config;
    for (size_t i = 1; i < config->http_count; i++)
        for (size_t j = 0; j < i; j++)
            if (same_address(&config->http[i].listen, &config->http[j].listen)) {
                aff_complain(fill->source, aff_fill_place(fill, &config->http[i].listen, &config->http[j].listen),
                             "http.%zu.listen: %s is the address of http.%zu already", i, config->http[i].listen.text,
                             j);
                break;
            }
}

/* ---- indexes ---- */

static bool is_index_name(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");
    return len >= 1 && len <= 40 && name[len] == '\0' && name[0] >= 'a' && name[0] <= 'z';
}

/* RFC 6901. */
static bool is_pointer(const char *text)
{
    if (*text && *text != '/')
        return false;
    while ((text = strchr(text, '~'))) {
        text++;
        if (*text != '0' && *text != '1')
            return false;
    }
    return true;
}

static void check_indexes(const struct aff_fill *fill, const struct aff_config_keyspace *k)
{
    enum { MOST = 16 };
    for (size_t i = 0; i < k->indexes.count; i++) {
        const struct aff_config_property *p = &k->indexes.items[i];
        if (!is_index_name(p->name))
            aff_complain(
                fill->source, p->mark,
                "keyspaces.%s.indexes.%.60s: this is no name of an index: expected a lower-case letter, then up to 39 "
                "of a-z, 0-9, _ and -",
                k->name, p->name);
        else if (strcmp(p->value, AFF_INDEX_OF_EVENT_TIME) != 0 && !is_pointer(p->value))
            aff_complain(
                fill->source, p->mark,
                "keyspaces.%s.indexes.%s: %s is not a JSON pointer such as /branch, and not " AFF_INDEX_OF_EVENT_TIME,
                k->name, p->name, aff_show(aff_str(p->value)).text);
        else if (i == MOST)
            aff_complain(fill->source, p->mark, "keyspaces.%s.indexes: has %zu entries, at most %d are possible",
                         k->name, k->indexes.count, MOST);
    }
}

static void check_cors(const struct aff_fill *fill)
{
    const struct aff_config *config = fill->config;
    const struct aff_config_list *origins = &config->cors.origins;
    bool any = false;
    for (size_t i = 0; i < origins->count; i++)
        any |= strcmp(origins->items[i], "*") == 0;
    if (any && config->cors.credentials)
        aff_complain(fill->source, aff_fill_place(fill, &config->cors.credentials, origins),
                     "cors.credentials: not with the origin *, which is every page: name the origins");
    if (any && origins->count > 1)
        aff_complain(fill->source, aff_fill_place(fill, origins, origins),
                     "cors.origins: * is all there are: name no others");
}

void aff_check(const struct aff_fill *fill)
{
    for (size_t i = 0; i < fill->config->keyspaces_count; i++)
        check_indexes(fill, &fill->config->keyspaces[i]);
    check_production(fill);
    check_kafka(fill);
    check_limits(fill);
    check_listeners(fill);
    check_cors(fill);
    aff_check_cluster(fill);
}
