/*
 * embedded/scan.h - walks a segment file batch by batch, checksums verified, and says where and how it ends.
 *
 * Used at start (recovery.c) and by the compaction. Blocks on the disk; changes nothing. One thread per scan.
 */
#ifndef AFF_CHANGELOG_EMBEDDED_SCAN_H
#define AFF_CHANGELOG_EMBEDDED_SCAN_H

#include "changelog/embedded/format.h"

/* Where an entry stands in its file. */
struct aff_scan_place {
    uint64_t batch; /* position of its batch */
    uint64_t at;    /* its own */
    aff_bytes raw;  /* its bytes as stored */
};

/* What is done with the entries. A code other than 0 ends the scan and is its result. */
struct aff_scan_visitor {
    int (*entry)(struct aff_scan_visitor *visitor, const struct aff_placed *placed, const struct aff_scan_place *place);
};

enum aff_scan_end {
    AFF_SCAN_SEALED,  /* a batch with the flag END, and nothing but zeros behind it */
    AFF_SCAN_OPEN,    /* zeros, or nothing, behind the last batch */
    AFF_SCAN_DAMAGED, /* something behind the last good batch that is none */
};

struct aff_scan_result {
    enum aff_scan_end end;
    bool sealed;      /* the last good batch has the flag END */
    uint64_t size;    /* end of the last good batch */
    uint64_t batches; /* good ones, END included */
    uint64_t entries;
    uint64_t file_size;
    uint64_t garbage_end; /* damaged: behind the last byte that is not zero */
    /*
     * Damaged: a later good batch states that the damaged place had been on disk, so it is no torn write; `proof` is where
     * that batch stands, 0 when there is none. `later` is the first later good batch at all.
     */
    uint64_t proof, later;
};

/*
 * Scans the file of segment `number` from behind its header. AFF_EIO; AFF_ECORRUPT when a batch with a right checksum holds
 * what no release wrote (`ret_result->size` is its place); or what the visitor returned.
 */
int aff_scan_segment(int fd, uint64_t number, struct aff_scan_visitor *visitor, struct aff_scan_result *ret_result);

/* The entries of one batch whose checksum is right, each shown to the visitor. AFF_ECORRUPT, or what the visitor said. */
int aff_scan_batch(aff_bytes batch, const struct aff_batch_head *head, struct aff_scan_visitor *visitor);

#endif
