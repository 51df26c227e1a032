/*
 * kafka/settings.c - see kafka/settings.h. The properties that we have a word on are in rules.c.
 *
 * A configuration is built of the rules of its role and then of the user's properties, in their order. Whether a user's
 * property touches a fixed one is seen by its effect, since librdkafka has several names for some. Which roles a property
 * is for is read from librdkafka's own list: given to the wrong role it would be ignored with a warning for each instance.
 */
#include "changelog/kafka/settings.h"

#include "base/alloc.h"
#include "changelog/kafka/rules.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

enum { VALUE_MAX = 512, TEXT_MAX = 400 };

struct user_property {
    char *name, *value;
    unsigned roles;
};

struct aff_kafka_settings {
    struct user_property *properties;
    size_t count;
};

/* ---- log ---- */

/* librdkafka calls everything that it tries again an error; what nobody but people can mend it calls critical. */
static enum aff_log_level level_of(int syslog_level)
{
    if (syslog_level <= LOG_CRIT)
        return AFF_LOG_ERROR;
    if (syslog_level <= LOG_WARNING)
        return AFF_LOG_WARN;
    return syslog_level <= LOG_INFO ? AFF_LOG_INFO : AFF_LOG_DEBUG;
}

/* Fatal errors are told by who owns the instance; that the gapless guarantee is called experimental is known. */
static bool is_known(const char *facility, const char *text)
{
    return strcmp(facility, "FATAL") == 0 ||
           (strcmp(facility, "CONFWARN") == 0 && strstr(text, "enable.gapless.guarantee"));
}

/* On threads of librdkafka. */
static void log_line(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    const struct aff_logger *logger = rk ? rd_kafka_opaque(rk) : NULL;
    if (is_known(facility, text))
        return;
    const struct aff_log_field fields[] = {
        aff_f_str("client", rk ? rd_kafka_name(rk) : ""),
        aff_f_str("about", facility),
        aff_f_str("text", text),
    };
    aff_log_fields(logger, level_of(level), "kafka.client", fields, sizeof fields / sizeof *fields);
}

/* ---- roles ---- */

static unsigned roles_of_mark(const char *mark)
{
    const unsigned readers = 1u << AFF_KAFKA_TAIL | 1u << AFF_KAFKA_CATCH_UP;
    if (mark[0] == 'P')
        return 1u << AFF_KAFKA_PRODUCER;
    if (mark[0] == 'C')
        return readers;
    return (1u << AFF_KAFKA_ROLES) - 1;
}

/* librdkafka's list of properties, as text: "name | C/P | ..." a line. To be freed. */
static char *list_properties(void)
{
    char *text = NULL;
    size_t len;
    FILE *file = open_memstream(&text, &len);
    if (!file)
        return NULL;
    rd_kafka_conf_properties_show(file);
    if (fclose(file) == 0)
        return text;
    free(text);
    return NULL;
}

/* A name that is not listed is left to librdkafka to judge, in every role. */
static unsigned find_roles(const char *list, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = list; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, len) != 0 || line[len] != ' ')
            continue;
        const char *mark = line + len + strspn(line + len, " ");
        if (*mark == '|')
            return roles_of_mark(mark + 1 + strspn(mark + 1, " "));
    }
    return roles_of_mark("*");
}

static struct aff_kafka_settings *copy(const struct aff_kafka_property *properties, size_t count)
{
    struct aff_kafka_settings *settings = aff_xcalloc(1, sizeof *settings);
    char *list = list_properties();
    settings->properties = aff_xcalloc(count + 1, sizeof *settings->properties);
    for (size_t i = 0; i < count; i++) {
        struct user_property *property = &settings->properties[settings->count++];
        property->name = aff_xstrdup(properties[i].name);
        property->value = aff_xstrdup(properties[i].value);
        property->roles = find_roles(list, property->name);
    }
    free(list);
    return settings;
}

/* ---- configurations ---- */

/* The value of a property as librdkafka prints it, "" when it has none. */
static void value_of(const rd_kafka_conf_t *conf, const char *name, char value[VALUE_MAX])
{
    size_t size = VALUE_MAX;
    if (rd_kafka_conf_get(conf, name, value, &size) != RD_KAFKA_CONF_OK)
        value[0] = '\0';
}

/* What is so already is not set: some properties are called deprecated when they are. */
static rd_kafka_conf_t *conf_of_rules(enum aff_kafka_role role)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char value[VALUE_MAX];
    size_t count;
    const struct aff_kafka_rule *rules = aff_kafka_rules(&count);
    for (size_t i = 0; i < count; i++) {
        if (!(rules[i].roles & 1u << role) || !rules[i].value)
            continue;
        value_of(conf, rules[i].name, value);
        if (strcmp(value, rules[i].value) == 0)
            continue;
        rd_kafka_conf_res_t rc = rd_kafka_conf_set(conf, rules[i].name, rules[i].value, NULL, 0);
        assert(rc == RD_KAFKA_CONF_OK || (rc == RD_KAFKA_CONF_UNKNOWN && rules[i].kind == AFF_KAFKA_OPTIONAL));
        (void)rc;
    }
    return conf;
}

rd_kafka_conf_t *aff_kafka_conf(const struct aff_kafka_settings *settings, enum aff_kafka_role role,
                                const struct aff_logger *logger)
{
    rd_kafka_conf_t *conf = conf_of_rules(role);
    for (size_t i = 0; i < settings->count; i++) {
        const struct user_property *property = &settings->properties[i];
        if (property->roles & 1u << role)
            (void)rd_kafka_conf_set(conf, property->name, property->value, NULL, 0); /* settings_new() tried it */
    }
    rd_kafka_conf_set_opaque(conf, (void *)(uintptr_t)logger);
    rd_kafka_conf_set_log_cb(conf, log_line);
    return conf;
}

/* ---- checks ---- */

static int check_rule(const struct aff_kafka_rule *rule, const struct user_property *property,
                      const rd_kafka_conf_t *ours, const rd_kafka_conf_t *theirs, aff_error *err)
{
    char wanted[VALUE_MAX], found[VALUE_MAX];
    value_of(ours, rule->name, wanted);
    value_of(theirs, rule->name, found);
    if (strcmp(wanted, found) == 0)
        return 0;
    if (!rule->value)
        return aff_fail_with(err, AFF_ECONFIG, "kafka: %s must not be set: %s", property->name, rule->why);
    return aff_fail_with(err, AFF_ECONFIG, "kafka: %s cannot be '%s': %s is always %s, since %s", property->name,
                         property->value, rule->name, rule->value, rule->why);
}

/* Does librdkafka take the property, and is everything that is fixed as it was? */
static int check_in_role(const struct user_property *property, enum aff_kafka_role role, aff_error *err)
{
    char text[TEXT_MAX];
    size_t count;
    const struct aff_kafka_rule *rules = aff_kafka_rules(&count);
    rd_kafka_conf_t *ours = conf_of_rules(role), *theirs = conf_of_rules(role);
    int rc = 0;

    if (rd_kafka_conf_set(theirs, property->name, property->value, text, sizeof text) != RD_KAFKA_CONF_OK)
        rc = aff_fail_with(err, AFF_ECONFIG, "kafka: %s: %s", property->name, text);
    for (size_t i = 0; i < count && rc == 0; i++)
        if (rules[i].kind == AFF_KAFKA_FIXED && rules[i].roles & 1u << role)
            rc = check_rule(&rules[i], property, ours, theirs, err);
    rd_kafka_conf_destroy(ours);
    rd_kafka_conf_destroy(theirs);
    return rc;
}

static int check_property(const struct user_property *property, aff_error *err)
{
    int rc = 0;
    for (int role = 0; role < AFF_KAFKA_ROLES && rc == 0; role++)
        if (property->roles & 1u << role)
            rc = check_in_role(property, (enum aff_kafka_role)role, err);
    return rc;
}

static bool names_brokers(const struct user_property *property)
{
    return strcmp(property->name, "bootstrap.servers") == 0 || strcmp(property->name, "metadata.broker.list") == 0;
}

static int check_brokers(const struct aff_kafka_settings *settings, aff_error *err)
{
    for (size_t i = 0; i < settings->count; i++)
        if (names_brokers(&settings->properties[i]) && settings->properties[i].value[0])
            return 0;
    return aff_fail_with(err, AFF_ECONFIG,
                         "kafka: bootstrap.servers is not set; it names one or more brokers, as host:port,host:port");
}

/* What only shows when an instance is made: properties that contradict each other, files that cannot be read. */
static int check_instance(const struct aff_kafka_settings *settings, enum aff_kafka_role role, aff_error *err)
{
    struct aff_kafka_settings alone = { aff_xcalloc(settings->count + 1, sizeof *alone.properties), 0 };
    char text[TEXT_MAX];

    for (size_t i = 0; i < settings->count; i++) /* without brokers, so that nobody is asked yet */
        if (!names_brokers(&settings->properties[i]))
            alone.properties[alone.count++] = settings->properties[i];
    rd_kafka_conf_t *conf = aff_kafka_conf(&alone, role, NULL);
    rd_kafka_type_t type = role == AFF_KAFKA_PRODUCER ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER;
    rd_kafka_t *rk = rd_kafka_new(type, conf, text, sizeof text);
    free(alone.properties);
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        return aff_fail_with(err, AFF_ECONFIG, "kafka: %s", text);
    }
    rd_kafka_destroy(rk);
    return 0;
}

int aff_kafka_settings_new(const struct aff_kafka_property *properties, size_t count,
                           struct aff_kafka_settings **ret_settings, aff_error *err)
{
    for (size_t i = 0; i < count; i++)
        if (!properties[i].name || !properties[i].value)
            return aff_fail_with(err, AFF_ECONFIG, "kafka: property '%s' has no value",
                                 properties[i].name ? properties[i].name : "");
    struct aff_kafka_settings *settings = copy(properties, count);
    int rc = 0;
    for (size_t i = 0; i < settings->count && rc == 0; i++)
        rc = check_property(&settings->properties[i], err);
    if (rc == 0)
        rc = check_brokers(settings, err);
    if (rc == 0)
        rc = check_instance(settings, AFF_KAFKA_PRODUCER, err);
    if (rc == 0)
        rc = check_instance(settings, AFF_KAFKA_CATCH_UP, err);
    if (rc == 0)
        *ret_settings = settings;
    else
        aff_kafka_settings_free(settings);
    return rc;
}

struct aff_kafka_settings *aff_kafka_settings_free(struct aff_kafka_settings *settings)
{
    if (!settings)
        return NULL;
    for (size_t i = 0; i < settings->count; i++) {
        free(settings->properties[i].name);
        free(settings->properties[i].value);
    }
    free(settings->properties);
    free(settings);
    return NULL;
}
