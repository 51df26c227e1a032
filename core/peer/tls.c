/* tls.c - the credentials of a node for its peers: those of base/tls.h, whose sessions stream.c uses. */
#include "peer/inner.h"

#include "base/alloc.h"

#include <stdlib.h>

int aff_peer_tls_new(const char *certificate, const char *key, const char *ca, struct aff_peer_tls **ret_tls,
                     aff_error *err)
{
    struct aff_tls *tls = NULL;
    int rc = aff_tls_new(certificate, key, ca, &tls, err);
    if (rc)
        return rc;
    *ret_tls = aff_xmalloc(sizeof **ret_tls);
    (*ret_tls)->tls = tls;
    return 0;
}

struct aff_peer_tls *aff_peer_tls_free(struct aff_peer_tls *tls)
{
    if (tls)
        (void)aff_tls_free(tls->tls);
    free(tls);
    return NULL;
}
