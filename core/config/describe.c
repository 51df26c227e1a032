/*
 * describe.c - the reference of all settings as Markdown: what `affinity check --describe` prints and doc/configuration.md
 * holds.
 */
#include "config/config.h"
#include "config/settings.h"

static const char introduction[] =
    "# Configuration\n"
    "\n"
    "<!-- Printed by `affinity check --describe` from core/config/settings.def; not edited by hand. -->\n"
    "\n"
    "A node reads one YAML file: `affinity serve -c affinity.yaml`. Every setting has a default, so an empty file is\n"
    "valid; it serves no keyspace.\n"
    "\n"
    "```yaml\n"
    "cluster: demo\n"
    "node: { name: n1, data: ./data }\n"
    "http: [ { listen: \"127.0.0.1:8080\" } ]\n"
    "keyspaces:\n"
    "  accounts: { partitions: 8 }\n"
    "  sessions: { partitions: 8, ttl: 30m }\n"
    "```\n"
    "\n"
    "- `affinity check -c affinity.yaml` prints the effective settings, or every error with file, line and column:\n"
    "  `affinity.yaml:5:27: keyspaces.accounts.partitions: 0 is below the minimum 1`.\n"
    "- `--set path=value`, as often as wanted, overrides the file: `--set node.data=/srv/affinity`,\n"
    "  `--set http.0.listen=127.0.0.1:0`, `--set keyspaces.accounts.partitions=16`. The value is taken as it stands; an\n"
    "  empty one (`--set keyspaces.sessions.ttl=`) takes the setting back to its default.\n"
    "- Unknown keys, keys given twice and tags are errors. Anchors, aliases and merge keys (`<<: *common`) work. A file\n"
    "  has at most 1 MiB.\n"
    "\n"
    "| type | how it is written |\n"
    "| --- | --- |\n"
    "| name | a lower-case letter, then up to 39 of `a-z`, `0-9` and `_` |\n"
    "| label | likewise, also with `-` |\n"
    "| address | `host:port`, `[::1]:port`; in YAML within quotes |\n"
    "| servers | addresses with commas and no spaces between them |\n"
    "| path | UTF-8 without control characters |\n"
    "| duration | a whole number with its unit: `500ms`, `30s`, `5m`, `1h`, `7d` |\n"
    "| size | a whole number with its unit: `100B`, `16KiB`, `64MiB`, `1GiB` (of 1024) |\n"
    "| number | a whole number |\n"
    "| boolean | `true` or `false` |\n"
    "| list | `[a, b]`, or one text with commas: `a, b` |\n"
    "| route | `whole-key`; `up-to \"/\"`, the bytes of a key before its first `/`; `up-to \"/\" 2`, those before its second "
    "one. 1 to 8 characters of ASCII stand between the quotes, and a number is 1 to 9 |\n"
    "| text | UTF-8, also of several lines; numbers and booleans are kept as they are written |\n"
    "| others | one of the words listed |\n";

static const char table_head[] = "\n| setting | type | default | range | meaning |\n| --- | --- | --- | --- | --- |\n";

static const char *type_name(enum aff_setting_type type)
{
    switch (type) {
    case AFF_TYPE_WORD:
        return "name";
    case AFF_TYPE_LABEL:
        return "label";
    case AFF_TYPE_TEXT:
        return "text";
    case AFF_TYPE_SERVERS:
        return "servers";
    case AFF_TYPE_PATH:
        return "path";
    case AFF_TYPE_ADDRESS:
        return "address";
    case AFF_TYPE_ENUM:
        return "word";
    case AFF_TYPE_BOOL:
        return "boolean";
    case AFF_TYPE_INT:
        return "number";
    case AFF_TYPE_DURATION:
        return "duration";
    case AFF_TYPE_SIZE:
        return "size";
    case AFF_TYPE_ORIGINS:
        return "list of origins";
    case AFF_TYPE_TOKENS:
        return "list of names";
    case AFF_TYPE_ROUTE:
        return "route";
    case AFF_TYPE_PROPERTIES:
        return "text";
    case AFF_TYPE_PLACES:
        return "list of labels";
    }
    return "";
}

/* The words of an enumeration; "a|b" would end a cell of the table. */
static void describe_words(const char *words, FILE *to)
{
    for (const char *word = words; *word; word += strcspn(word, "|") + (word[strcspn(word, "|")] == '|'))
        fprintf(to, "%s`%.*s`", word == words ? "" : ", ", (int)strcspn(word, "|"), word);
}

static void describe_range(const struct aff_setting *setting, FILE *to)
{
    if (setting->words)
        describe_words(setting->words, to);
    else if (setting->production_min)
        fprintf(to, "%s to %s; in development from %s", setting->production_min, setting->max, setting->min);
    else if (setting->min && strcmp(setting->min, setting->max) == 0)
        fprintf(to, "%s", setting->min);
    else if (setting->min)
        fprintf(to, "%s to %s", setting->min, setting->max);
}

static void describe_setting(const struct aff_setting *setting, FILE *to)
{
    fprintf(to, "| `%s` | %s | ", aff_setting_full_path(setting).text, type_name(setting->type));
    if (setting->fallback)
        fprintf(to, "`%s`", setting->fallback);
    else
        fputs("none", to);
    fputs(" | ", to);
    describe_range(setting, to);
    fprintf(to, " | %s |\n", setting->doc);
}

static void describe_heading(const struct aff_setting *setting, FILE *to)
{
    size_t section = aff_section_len(setting->path);
    if (setting->group != AFF_GROUP_ROOT) {
        const struct aff_group *group = aff_group_of(setting->group);
        fprintf(to, "\n## %s\n\n%s At most %zu; default: %s.\n", group->path, group->doc, group->max,
                group->fallback_count ? "one, with its defaults" : "none");
    } else if (section) {
        fprintf(to, "\n## %.*s\n", (int)section, setting->path);
    } else {
        fprintf(to, "\n## %s\n", setting->path);
    }
    fputs(table_head, to);
}

/* Does the row begin another section than the one before? Single settings of the top that follow each other share one. */
static bool begins_section(const struct aff_setting *last, const struct aff_setting *setting)
{
    size_t section = aff_section_len(setting->path);
    if (!last || last->group != setting->group || aff_section_len(last->path) != section)
        return true;
    return strncmp(last->path, setting->path, section) != 0;
}

void aff_config_describe(FILE *to)
{
    const struct aff_setting *last = NULL;
    fputs(introduction, to);
    for (size_t i = 0; i < aff_settings_count; last = &aff_settings[i++]) {
        if (begins_section(last, &aff_settings[i]))
            describe_heading(&aff_settings[i], to);
        describe_setting(&aff_settings[i], to);
    }
}
