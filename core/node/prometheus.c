/*
 * prometheus.c - see prometheus.h.
 */
#include "node/prometheus.h"

#include <math.h>
#include <stdarg.h>

static void add(struct aff_prom *prom, bool fits)
{
    prom->failed |= !fits;
}

void aff_prom_family(struct aff_prom *prom, const char *name, enum aff_prom_type type, const char *help)
{
    prom->family = name;
    add(prom, aff_buf_printf(prom->buf, "# HELP %s %s\n# TYPE %s %s\n", name, help, name,
                             type == AFF_PROM_COUNTER ? "counter" : "gauge"));
}

static void add_label_value(struct aff_prom *prom, const char *text)
{
    for (; *text; text++)
        if (*text == '\n')
            add(prom, aff_buf_add(prom->buf, "\\n", 2));
        else if (*text == '"' || *text == '\\')
            add(prom, aff_buf_u8(prom->buf, '\\') && aff_buf_u8(prom->buf, (uint8_t)*text));
        else
            add(prom, aff_buf_u8(prom->buf, (uint8_t)*text));
}

/* Whole numbers as such, so that a counter never shows as 1e+06. */
static void add_number(struct aff_prom *prom, double value)
{
    bool whole = value == floor(value) && fabs(value) < 9007199254740992.0;
    add(prom, aff_buf_printf(prom->buf, whole ? " %.0f\n" : " %.15g\n", value));
}

void aff_prom_value(struct aff_prom *prom, double value, ...)
{
    va_list args;
    const char *label, *before = "{";
    add(prom, aff_buf_printf(prom->buf, "%s", prom->family));
    va_start(args, value);
    while ((label = va_arg(args, const char *))) {
        add(prom, aff_buf_printf(prom->buf, "%s%s=\"", before, label));
        add_label_value(prom, va_arg(args, const char *));
        add(prom, aff_buf_u8(prom->buf, '"'));
        before = ",";
    }
    va_end(args);
    if (*before == ',')
        add(prom, aff_buf_u8(prom->buf, '}'));
    add_number(prom, value);
}
