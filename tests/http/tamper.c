/*
 * tamper.c - changes the store of a partition behind the back of its log, while no node has it open:
 *
 *   tamper FOLDER flip KEY      one bit of the value
 *   tamper FOLDER drop KEY      the key goes
 *   tamper FOLDER add KEY       a key that the log does not know
 *   tamper FOLDER version KEY   the version is another one
 */
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

static int change(struct aff_store *store, const char *what, aff_bytes key)
{
    struct aff_item item = { .version = { 1, 1, AFF_NO_TIME, AFF_NO_TIME },
                             .content_type = aff_str("text/plain"),
                             .value = aff_str("x") };
    static unsigned char value[1 << 20];
    static char type[256];
    if (strcmp(what, "drop") == 0)
        return aff_store_delete(store, key);
    if (strcmp(what, "add") == 0)
        return aff_store_put(store, key, &item);
    if (aff_store_get(store, key, &item) != 1 || item.value.len > sizeof value || item.content_type.len > sizeof type)
        return AFF_ENOTFOUND;
    memcpy(value, item.value.data, item.value.len);
    memcpy(type, item.content_type.data, item.content_type.len);
    item.value.data = value;
    item.content_type.data = type;
    if (strcmp(what, "flip") == 0)
        value[item.value.len / 2] ^= 1;
    else
        item.version.offset++;
    return aff_store_put(store, key, &item);
}

int main(int argc, char **argv)
{
    struct aff_store *store = NULL;
    bool fresh;
    aff_error err = { 0 };
    if (argc != 4)
        return 2;
    struct aff_store_opts opts = { .folder = argv[1], .map_bytes = UINT64_C(1) << 30, .readers = 1 };
    int code = aff_store_open(&opts, &store, &fresh, &err);
    if (code == 0)
        code = change(store, argv[2], aff_str(argv[3]));
    if (code == 0)
        code = aff_store_commit(store);
    aff_store_close(store);
    if (code || fresh)
        fprintf(stderr, "tamper: %s %s\n", err.text, fresh ? "there is no store" : aff_error_title(code));
    return code || fresh;
}
