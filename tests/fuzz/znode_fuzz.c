/*
 * znode_fuzz.c - the texts of ZooKeeper's nodes: any bytes are read without harm, and what could be read is written and read
 * again as the same.
 */
#include "coordinator/chunk.h"
#include "coordinator/report.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool condition)
{
    if (!condition)
        abort();
}

static void try_chunk(aff_bytes bytes)
{
    static struct aff_chunk chunk, again;
    struct aff_buf text;
    aff_error err;

    aff_chunk_init(&chunk, "accounts", 2, 0);
    if (aff_chunk_decode(&chunk, bytes, &err)) {
        expect(err.text[0] != '\0');
        return;
    }
    aff_buf_init(&text);
    expect(aff_chunk_encode(&chunk, &text, &err) == 0);
    aff_chunk_init(&again, "accounts", 2, 0);
    expect(aff_chunk_decode(&again, aff_buf_view(&text), &err) == 0);
    expect(memcmp(chunk.parts, again.parts, sizeof chunk.parts) == 0);
    aff_buf_fini(&text);
}

static void try_report(aff_bytes bytes)
{
    struct aff_report report, again;
    struct aff_buf text;
    aff_error err;

    if (aff_report_decode("n1", bytes, &report, &err)) {
        expect(err.text[0] != '\0');
        return;
    }
    aff_buf_init(&text);
    expect(aff_report_encode(&report, &text, &err) == 0);
    expect(aff_report_decode("n1", aff_buf_view(&text), &again, &err) == 0);
    expect(report.spaces_count == again.spaces_count && report.draining == again.draining);
    for (size_t i = 0; i < report.spaces_count; i++)
        expect(report.spaces[i].count == again.spaces[i].count);
    aff_report_fini(&report);
    aff_report_fini(&again);
    aff_buf_fini(&text);
}

static void try_member(aff_bytes bytes)
{
    struct aff_view_node node, again;
    struct aff_buf text;
    aff_error err;

    if (aff_member_decode("n1-0000000001", bytes, &node, &err)) {
        expect(err.text[0] != '\0');
        return;
    }
    aff_buf_init(&text);
    expect(aff_member_encode(&node, &text, &err) == 0);
    expect(aff_member_decode("n1-0000000001", aff_buf_view(&text), &again, &err) == 0);
    expect(strcmp(node.http, again.http) == 0 && strcmp(node.zone, again.zone) == 0 && node.features == again.features);
    aff_buf_fini(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    aff_bytes bytes = aff_bytes_of(data ? data : (const uint8_t *)"", size);

    try_chunk(bytes);
    try_report(bytes);
    try_member(bytes);
    return 0;
}
