/*
 * number.c - whole numbers, durations (500ms, 30s) and sizes (64MiB): text to number and back.
 */
#include "config/errors.h"
#include "config/value.h"

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first. */
static const struct unit durations[] = {
    { "d", UINT64_C(86400000) }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 },
};
static const struct unit sizes[] = {
    { "TiB", UINT64_C(1) << 40 },
    { "GiB", UINT64_C(1) << 30 },
    { "MiB", UINT64_C(1) << 20 },
    { "KiB", UINT64_C(1) << 10 },
    { "B", 1 },
};

static const struct unit *units_of(enum aff_setting_type type, size_t *ret_count)
{
    *ret_count = sizeof durations / sizeof *durations;
    if (type == AFF_TYPE_DURATION)
        return durations;
    return type == AFF_TYPE_SIZE ? sizes : NULL;
}

static const struct unit *unit_named(enum aff_setting_type type, aff_bytes name)
{
    size_t count;
    const struct unit *units = units_of(type, &count);
    for (size_t i = 0; units && i < count; i++)
        if (aff_bytes_equal(aff_str(units[i].name), name))
            return &units[i];
    return NULL;
}

static const char *expected(enum aff_setting_type type)
{
    switch (type) {
    case AFF_TYPE_DURATION:
        return "a whole number with a unit: 500ms, 30s, 5m, 1h or 7d";
    case AFF_TYPE_SIZE:
        return "a whole number with a unit: 100B, 16KiB, 64MiB or 1GiB";
    default:
        return "a whole number";
    }
}

int aff_number_read(enum aff_setting_type type, aff_bytes text, uint64_t *ret_number, aff_error *err)
{
    const char *chars = text.data;
    uint64_t number = 0, factor = 1;
    size_t digits = 0;
    bool overflow = false;
    for (; digits < text.len && chars[digits] >= '0' && chars[digits] <= '9'; digits++)
        overflow |= __builtin_mul_overflow(number, 10, &number) ||
                    __builtin_add_overflow(number, (uint64_t)(chars[digits] - '0'), &number);

    aff_bytes rest = aff_bytes_of(chars + digits, text.len - digits);
    const struct unit *unit = unit_named(type, rest);
    if (unit)
        factor = unit->factor;
    if (digits == 0 || (!unit && (rest.len > 0 || type != AFF_TYPE_INT)))
        return aff_fail_with(err, AFF_ECONFIG, "%s is not %s", aff_show(text).text, expected(type));
    if (overflow || __builtin_mul_overflow(number, factor, &number) || number > INT64_MAX)
        return aff_fail_with(err, AFF_ECONFIG, "%s is too large a number", aff_show(text).text);
    *ret_number = number;
    return 0;
}

struct aff_number_text aff_number_text(enum aff_setting_type type, uint64_t number)
{
    struct aff_number_text shown;
    size_t count;
    const struct unit *units = units_of(type, &count);
    const char *unit = units ? units[count - 1].name : "";
    for (size_t i = 0; units && i < count; i++)
        if (number >= units[i].factor && number % units[i].factor == 0) {
            unit = units[i].name;
            number /= units[i].factor;
            break;
        }
    (void)snprintf(shown.text, sizeof shown.text, "%llu%s", (unsigned long long)number, unit);
    return shown;
}
