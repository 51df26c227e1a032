/*
 * entry.h - an entry of a scan as a JSON object.
 *
 *   {"key":"a","value":{"n":1.0},"etag":"\"0badcafe-3-100\""}
 *   {"key64":"AP8=","value64":"/9j/","type":"image/jpeg","expires":1784000000000,"etag":"\"0badcafe-3-101\""}
 *
 * A key that is not UTF-8 is told as "key64", a value that is not JSON as "value64", both base64. A value of JSON stands there
 * byte for byte. "type" is left out when it is application/json. Bulk writes take the same members.
 *
 * Pure; any thread.
 */
#ifndef AFF_HTTP_ENTRY_H
#define AFF_HTTP_ENTRY_H

#include "base/buf.h"
#include "router/scan.h"

struct aff_entry_form {
    bool keys_only; /* no value, no type */
    bool one_line;  /* line feeds and carriage returns between the tokens of a value become spaces */
};

/* Bytes that the object has at most, and the object itself, written at `to`; returns where it ended. */
size_t aff_entry_most(const struct aff_scan_entry *entry);
char *aff_entry_write(const struct aff_scan_entry *entry, struct aff_entry_form form, char *to);
/* Appends the object. False: out of memory, and nothing was appended. */
bool aff_entry_print(const struct aff_scan_entry *entry, struct aff_entry_form form, struct aff_buf *out) AFF_MUST_USE;

#endif
