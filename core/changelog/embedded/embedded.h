/*
 * embedded/embedded.h - what the driver `embedded` offers beside the contract (changelog.h).
 */
#ifndef AFF_CHANGELOG_EMBEDDED_EMBEDDED_H
#define AFF_CHANGELOG_EMBEDDED_EMBEDDED_H

#include "changelog/changelog.h"

/* Compacts whatever sealed segments hold that may go, now, and waits for it. 0, AFF_ENOSPACE, AFF_EIO, AFF_ECORRUPT. Any
 * thread but a loop's. */
int aff_changelog_embedded_compact(struct aff_changelog *log);

#endif
