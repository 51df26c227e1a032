/*
 * key_route.h - which bytes of a key decide on its partition: all of it, or what stands before a separator.
 *
 * Keys with the same beginning share a partition then, and a scan of them asks that one alone. As text: `whole-key`, `up-to "/"`, and
 * `up-to "/" 2` for what stands before the second separator. It is fixed for the life of a keyspace.
 *
 * Pure; any thread.
 */
#ifndef AFF_BASE_KEY_ROUTE_H
#define AFF_BASE_KEY_ROUTE_H

#include <affinity/bytes.h>
#include <affinity/error.h>

enum { AFF_KEY_ROUTE_SEPARATOR_MAX = 8, AFF_KEY_ROUTE_NTH_MAX = 9 };
#define AFF_KEY_ROUTE_TEXT_MAX 24 /* bytes of its text, with a NUL */

/* All zero: the whole key. */
struct aff_key_route {
    unsigned char nth; /* the separator that ends the route, from 1; 0: the whole key is it */
    unsigned char separator_len;
    char separator[AFF_KEY_ROUTE_SEPARATOR_MAX];
};

/* AFF_ECONFIG says what would be right. */
int aff_key_route_read(aff_bytes text, struct aff_key_route *ret_route, aff_error *err);
/* Always the same text for the same route. Returns `out`. */
const char *aff_key_route_print(const struct aff_key_route *route, char out[AFF_KEY_ROUTE_TEXT_MAX]);

/* The part of the key that decides: up to, and not including, the separator; all of a key that has fewer of them. */
aff_bytes aff_key_route_of(const struct aff_key_route *route, aff_bytes key);
/* Does every key that begins so have the same route? Then it is that of `beginning`. */
bool aff_key_route_settles(const struct aff_key_route *route, aff_bytes beginning);

#endif
