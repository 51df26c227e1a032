/*
 * trace.c - see trace.h.
 */
#include "http/trace.h"

#include "http/digits.h"

#include <sys/random.h>
#include <time.h>

/* ---- ids ---- */

void aff_trace_init(struct aff_trace_source *source)
{
    if (getrandom(source, sizeof *source, GRND_NONBLOCK) !=
        (ssize_t)sizeof *source) { /* early in the life of a machine */
        struct timespec now;
        (void)clock_gettime(CLOCK_REALTIME, &now);
        source->state = (uint64_t)now.tv_sec ^ (uint64_t)now.tv_nsec << 32 ^ (uint64_t)(uintptr_t)source;
        source->mask = ~source->state;
    }
}

/* A counter with large steps, and a mixer whose every output bit depends on every input bit: no two of a cycle are the same. */
static uint64_t next_number(struct aff_trace_source *source)
{
    uint64_t z = source->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

void aff_traceparent_make(struct aff_trace_source *source, char out[AFF_TRACE_LEN + 1])
{
    char *at = aff_put_text(out, "00-");
    at = aff_put_hex(at, next_number(source) ^ source->mask, 16);
    at = aff_put_hex(at, next_number(source) | 1, 16); /* all zeros is no id */
    *at++ = '-';
    at = aff_put_hex(at, next_number(source) | 1, 16);
    at = aff_put_text(at, "-00");
    *at = 0;
}

/* ---- reading ---- */

/* Lower-case hexadecimal digits; `*ret_bits` is 0 when all of them are zeros. */
static bool take_digits(const char *at, size_t count, uint64_t *ret_bits)
{
    uint64_t number;
    *ret_bits = 0;
    for (size_t i = 0; i < count; i += 16) {
        if (!aff_take_hex(aff_bytes_of(at + i, count - i < 16 ? count - i : 16), &number))
            return false;
        *ret_bits |= number;
    }
    return true;
}

bool aff_traceparent_read(aff_bytes text, char out[AFF_TRACE_LEN + 1])
{
    const char *at = text.data;
    uint64_t version, trace, parent, flags;
    if (text.len < AFF_TRACE_LEN || at[2] != '-' || at[35] != '-' || at[52] != '-' || !take_digits(at, 2, &version) ||
        !take_digits(at + 3, 32, &trace) || !take_digits(at + 36, 16, &parent) || !take_digits(at + 53, 2, &flags))
        return false;
    if (version == 0xff || (version == 0 && text.len > AFF_TRACE_LEN) ||
        (text.len > AFF_TRACE_LEN && at[AFF_TRACE_LEN] != '-') || !trace || !parent)
        return false;
    memcpy(out, at, AFF_TRACE_LEN);
    out[AFF_TRACE_LEN] = 0;
    if (version != 0) {
        out[0] = out[1] = '0';
        out[53] = '0';
        out[54] = (char)('0' + (flags & 1)); /* "sampled" is the one flag that is known */
    }
    return true;
}
